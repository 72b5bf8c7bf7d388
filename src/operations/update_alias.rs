use serde_json::Value;

use super::alias;
use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// An alias pointed to another key (KMS API reference, *UpdateAlias*). The policies of both keys are asked.
pub struct UpdateAlias {
    alias_name: String,
    target: ManagedKey,
}

impl Operation for UpdateAlias {
    const NAME: &'static str = "UpdateAlias";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            alias_name: alias::parse(members)?,
            target: ManagedKey::parse_named("TargetKeyId", members)?,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("aliasName", &self.alias_name)
            .with("targetKeyId", self.target.as_sent())
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        const ACTION: &str = "kms:UpdateAlias";
        let (name, current) = alias::find(&self.alias_name, broker, invocation, event).await?;
        alias::authorize(ACTION, &name, &current, broker, invocation, event).await?;
        let target = self.target.find(broker, invocation, event).await?;
        alias::authorize(ACTION, &name, &target, broker, invocation, event).await?;
        target.key.require_not_pending_deletion()?;
        broker.store().update_alias(&name, current.key.id, target.key.id, invocation.now).await?;
        Ok(NoMembers {})
    }
}
