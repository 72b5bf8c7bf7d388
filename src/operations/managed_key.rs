use std::sync::Arc;

use serde::Serialize;

use super::Invocation;
use super::audit_parameters::AuditParameters;
use super::broker::{Access, Broker};
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::audit::AuditEvent;
use crate::keys::{Key, KeyIdentifier, KeySpec, KeyState, KeyStateError};
use crate::store::KeyEntry;
use crate::time::UnixTime;

/// The member `KeyId` of an operation that looks at a key or changes it, without using its material.
pub(super) struct ManagedKey {
    key_id: String,
}

/// The answer of operations that have none, `{}`.
#[derive(Serialize)]
pub struct NoMembers {}

impl ManagedKey {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Self::parse_named("KeyId", members)
    }

    /// As [`ManagedKey::parse`], of a member with another name.
    pub(super) fn parse_named(name: &str, members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key_id: members.required_string(name, 1..=2048)?.to_owned() })
    }

    /// As it was named.
    pub(super) fn as_sent(&self) -> &str {
        &self.key_id
    }

    pub(super) fn audit_parameters(&self) -> AuditParameters {
        AuditParameters::new().with("keyId", &self.key_id)
    }

    /// The key, in whatever state, once its policy allows `action`. Named by id or ARN.
    pub(super) async fn authorized(
        &self,
        action: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        let identifier = self.id_or_arn(broker)?;
        authorize(action, &identifier, broker, invocation, event).await
    }

    /// The key, in whatever state, before its policy is asked. Named by id or ARN.
    pub(super) async fn find(
        &self,
        broker: &Broker,
        event: &mut AuditEvent,
    ) -> Result<(KeyIdentifier, Arc<KeyEntry>), OperationError> {
        let identifier = self.id_or_arn(broker)?;
        let entry = broker.key(&identifier, event).await?;
        Ok((identifier, entry))
    }

    fn id_or_arn(&self, broker: &Broker) -> Result<KeyIdentifier, OperationError> {
        match KeyIdentifier::parse(&self.key_id, broker.realm())? {
            KeyIdentifier::Alias(name) => Err(OperationError::AliasNotAccepted(name)),
            identifier @ KeyIdentifier::Key(_) => Ok(identifier),
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

/// Refuses what is about rotation for a key that has none: only a symmetric encryption key is rotated (KMS developer
/// guide, *Rotate KMS keys*).
pub(super) fn require_rotatable(key: &Key) -> Result<(), OperationError> {
    match key.spec {
        KeySpec::SymmetricDefault => Ok(()),
        KeySpec::Hmac(_) | KeySpec::KeyPair(_) => {
            Err(OperationError::Unsupported("only symmetric encryption KMS keys are rotated"))
        }
    }
}

/// Enables or disables a key, whichever of the two it was.
pub(super) async fn set_enabled(
    key: &Key,
    enabled: bool,
    broker: &Broker,
    now: UnixTime,
) -> Result<(), OperationError> {
    if key.state_at(now) == KeyState::PendingImport {
        return Err(KeyStateError::PendingImport(key.arn.clone()).into());
    }
    let is_set = broker.store().set_enabled(key.id, enabled).await?;
    is_set.then_some(()).ok_or_else(|| KeyStateError::PendingDeletion(key.arn.clone()).into())
}

async fn authorize(
    action: &'static str,
    identifier: &KeyIdentifier,
    broker: &Broker,
    invocation: &Invocation,
    event: &mut AuditEvent,
) -> Result<Arc<KeyEntry>, OperationError> {
    let entry = broker.key(identifier, event).await?;
    let access = Access { named_as: Some(identifier), ..Access::new(action, &entry) };
    broker.authorize(&access, invocation, event).await?;
    Ok(entry)
}

/// Asks the policy of a key that was found without being named.
pub(super) async fn authorize_entry(
    action: &'static str,
    entry: &KeyEntry,
    broker: &Broker,
    invocation: &Invocation,
    event: &mut AuditEvent,
) -> Result<(), OperationError> {
    broker.authorize(&Access::new(action, entry), invocation, event).await?;
    Ok(())
}
