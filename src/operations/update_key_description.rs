use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::MAX_DESCRIPTION_LEN;

/// A key's description replaced (KMS API reference, *UpdateKeyDescription*).
pub struct UpdateKeyDescription {
    key: ManagedKey,
    description: String,
}

impl Operation for UpdateKeyDescription {
    const NAME: &'static str = "UpdateKeyDescription";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            key: ManagedKey::parse(members)?,
            description: members.required_string("Description", 0..=MAX_DESCRIPTION_LEN)?.to_owned(),
        })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("description", &self.description).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let entry = self.key.authorized("kms:UpdateKeyDescription", broker, invocation, event).await?;
        entry.key.require_not_pending_deletion()?;
        broker.store().set_description(entry.key.id, &self.description).await?;
        Ok(NoMembers {})
    }
}
