use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers, set_enabled};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A key that nobody can use until it is enabled again (KMS API reference, *DisableKey*).
pub struct DisableKey {
    key: ManagedKey,
}

impl Operation for DisableKey {
    const NAME: &'static str = "DisableKey";
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
        let entry = self.key.authorized("kms:DisableKey", broker, invocation, event).await?;
        set_enabled(&entry.key, false, broker, invocation.now).await?;
        Ok(NoMembers {})
    }
}
