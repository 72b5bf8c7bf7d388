use serde_json::Value;

use super::alias;
use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// An alias taken away; its key stays (KMS API reference, *DeleteAlias*).
pub struct DeleteAlias {
    alias_name: String,
}

impl Operation for DeleteAlias {
    const NAME: &'static str = "DeleteAlias";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { alias_name: alias::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new().with("aliasName", &self.alias_name).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let (name, entry) = alias::find(&self.alias_name, broker, invocation, event).await?;
        alias::authorize("kms:DeleteAlias", &name, &entry, broker, invocation, event).await?;
        broker.store().delete_alias(&name, entry.key.id).await?;
        Ok(NoMembers {})
    }
}
