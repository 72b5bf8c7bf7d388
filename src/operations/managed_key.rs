use std::sync::Arc;

use serde::Serialize;

use super::Invocation;
use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::audit::AuditEvent;
use crate::keys::{Key, KeyIdentifier, KeyIdentifierError, KeySpec, KeyState, KeyStateError};
use crate::policy::Particulars;
use crate::store::KeyEntry;
use crate::time::UnixTime;

/// The member `KeyId` of an operation that looks at a key or changes it, without using its material.
pub(super) struct ManagedKey {
    /// The member that names it.
    member: &'static str,
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
    pub(super) fn parse_named(name: &'static str, members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { member: name, key_id: members.required_string(name, 1..=2048)?.to_owned() })
    }

    /// As [`ManagedKey::parse`], where the member may be absent.
    pub(super) fn parse_optional(members: &Members<'_>) -> Result<Option<Self>, MemberError> {
        let key_id = members.string("KeyId", 1..=2048)?;
        Ok(key_id.map(|key_id| Self { member: "KeyId", key_id: key_id.to_owned() }))
    }

    /// As it was named.
    pub(super) fn as_sent(&self) -> &str {
        &self.key_id
    }

    pub(super) fn audit_parameters(&self) -> AuditParameters {
        AuditParameters::new().with("keyId", &self.key_id)
    }

    /// The key, in whatever state, once the policies allow `action`. Named by id or ARN.
    pub(super) async fn authorized(
        &self,
        action: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        self.authorized_with(action, Particulars::default(), broker, invocation, event).await
    }

    /// As [`ManagedKey::authorized`], for a request of which conditions may ask more.
    pub(super) async fn authorized_with(
        &self,
        action: &'static str,
        particulars: Particulars<'_>,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        let entry = self.find(broker, invocation, event).await?;
        let access = Access { particulars, ..Access::new(action, &entry) };
        broker.authorize(&access, invocation, event).await?;
        Ok(entry)
    }

    /// The key, in whatever state, before any policy is asked. Named by id or ARN.
    pub(super) async fn find(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        match self.identify(broker, invocation)? {
            KeyIdentifier::Alias(name) => Err(OperationError::AliasNotAccepted(name)),
            identifier @ KeyIdentifier::Key(_) => broker.key(&identifier, event).await,
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
        let identifier = self.identify(broker, invocation)?;
        let entry = broker.key(&identifier, event).await?;
        let access = Access { named_as: Some(&identifier), ..Access::new(action, &entry) };
        broker.authorize(&access, invocation, event).await?;
        Ok(entry)
    }

    /// What it names, in whatever form.
    pub(super) fn identify(
        &self,
        broker: &Broker,
        invocation: &Invocation,
    ) -> Result<KeyIdentifier, OperationError> {
        broker.identify(&self.key_id, invocation).map_err(|error| match error {
            // Modelled for `KeyId` alone; a target that is no ARN is not found.
            OperationError::KeyIdentifier(KeyIdentifierError::Malformed(text))
                if self.member == "KeyId" && text.starts_with("arn:") =>
            {
                OperationError::InvalidArn(text)
            }
            error => error,
        })
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
