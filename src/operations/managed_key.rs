use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::Invocation;
use super::broker::{Access, Broker};
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::KeyIdentifier;
use crate::store::KeyEntry;

/// The member `KeyId` of an operation that looks at a key or changes it, without using its material.
pub(super) struct ManagedKey {
    key_id: String,
}

/// The answer of operations that have none, `{}`.
#[derive(Serialize)]
pub struct NoMembers {}

impl ManagedKey {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key_id: members.required_string("KeyId", 1..=2048)?.to_owned() })
    }

    pub(super) fn audit_parameters(&self) -> serde_json::Map<String, Value> {
        serde_json::Map::from_iter([("keyId".to_owned(), json!(self.key_id))])
    }

    /// The key, in whatever state, once its policy allows `action`. Named by id or ARN.
    pub(super) async fn authorized(
        &self,
        action: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        match KeyIdentifier::parse(&self.key_id, broker.realm())? {
            KeyIdentifier::Alias(name) => Err(OperationError::AliasNotAccepted(name)),
            identifier @ KeyIdentifier::Key(_) => {
                authorize(action, &identifier, broker, invocation, event).await
            }
        }
    }

    /// As [`ManagedKey::authorized`]; an alias names the key as well.
    pub(super) async fn authorized_by_any_name(
        &self,
        action: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        let identifier = KeyIdentifier::parse(&self.key_id, broker.realm())?;
        authorize(action, &identifier, broker, invocation, event).await
    }
}

async fn authorize(
    action: &'static str,
    identifier: &KeyIdentifier,
    broker: &Broker,
    invocation: &Invocation,
    event: &mut AuditEvent,
) -> Result<Arc<KeyEntry>, OperationError> {
    let entry = broker.key(identifier, event).await?;
    let access = Access {
        action,
        entry: &entry,
        named_as: Some(identifier),
        recipient: None,
        encryption_context: &EncryptionContext::default(),
    };
    broker.authorize(&access, invocation, event)?;
    Ok(entry)
}
