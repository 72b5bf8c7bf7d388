use serde_json::Value;

use super::alias;
use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::AliasName;

/// A further name for a key (KMS API reference, *CreateAlias*). An alias has no policy
/// of its own.
pub struct CreateAlias {
    alias_name: String,
    target: ManagedKey,
}

impl Operation for CreateAlias {
    const NAME: &'static str = "CreateAlias";
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
        let name = AliasName::parse(&self.alias_name)?;
        let entry = self.target.find(broker, invocation, event).await?;
        alias::authorize("kms:CreateAlias", &name, &entry, broker, invocation, event).await?;
        entry.key.require_not_pending_deletion()?;
        broker.store().insert_alias(&name, entry.key.id, invocation.now).await?;
        Ok(NoMembers {})
    }
}
