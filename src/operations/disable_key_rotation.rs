use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers, require_rotatable};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A key no longer rotated by itself (KMS API reference, *DisableKeyRotation*).
pub struct DisableKeyRotation {
    key: ManagedKey,
}

impl Operation for DisableKeyRotation {
    const NAME: &'static str = "DisableKeyRotation";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let key = &self.key.authorized("kms:DisableKeyRotation", broker, invocation, event).await?.key;
        require_rotatable(key)?;
        key.require_made_here()?;
        key.require_enabled(invocation.now)?;
        broker.store().set_rotation(key.id, None).await?;
        Ok(NoMembers {})
    }
}
