use std::sync::Arc;

use serde_json::{Value, json};

use super::broker::Broker;
use super::error::OperationError;
use super::grant_members::parse_grant_id;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::{Grant, GrantId};
use crate::store::KeyEntry;

/// A grant ended by whom the key's policy lets do it (KMS API reference, *RevokeGrant*). The key may be in any state.
pub struct RevokeGrant {
    key: ManagedKey,
    grant_id: String,
    dry_run: bool,
}

impl Operation for RevokeGrant {
    const NAME: &'static str = "RevokeGrant";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            key: ManagedKey::parse(members)?,
            grant_id: parse_grant_id(members)?.ok_or_else(|| members.missing("GrantId"))?,
            dry_run: members.flag("DryRun")?,
        })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("grantId", &self.grant_id).with_dry_run(self.dry_run).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let id = self.grant_id.parse()?;
        let entry = self.key.authorized("kms:RevokeGrant", broker, invocation, event).await?;
        let grant = grant_on(&entry, &id, broker).await?;
        end_grant(&grant, self.dry_run, broker, event).await
    }
}

/// The grant of this id, if it is one on this key.
pub(super) async fn grant_on(
    entry: &KeyEntry,
    id: &GrantId,
    broker: &Broker,
) -> Result<Arc<Grant>, OperationError> {
    let found = broker.store().find_grant(id).await?;
    found.filter(|grant| *grant.resource == *entry.key.arn.as_str()).ok_or_else(|| no_such_grant(id))
}

pub(super) async fn end_grant(
    grant: &Grant,
    dry_run: bool,
    broker: &Broker,
    event: &mut AuditEvent,
) -> Result<NoMembers, OperationError> {
    if dry_run {
        return Err(OperationError::DryRun);
    }
    if !broker.store().delete_grant(&grant.id).await? {
        return Err(no_such_grant(&grant.id));
    }
    event.set_response_elements(json!({"keyId": *grant.resource}));
    Ok(NoMembers {})
}

fn no_such_grant(id: &GrantId) -> OperationError {
    OperationError::NotFound(format!("Grant {id}"))
}
