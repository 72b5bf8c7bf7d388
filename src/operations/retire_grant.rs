use std::sync::Arc;

use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_members::parse_grant_id;
use super::grant_tokens::GrantToken;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::revoke_grant::{end_grant, grant_on};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::Grant;
use crate::store::KeyEntry;

/// A grant ended by whom it names for that, or by the account that made it (KMS API reference, *RetireGrant*). The key may
/// be in any state.
pub struct RetireGrant {
    named_as: NamedAs,
    dry_run: bool,
}

enum NamedAs {
    Token(GrantToken),
    Id { key: ManagedKey, grant_id: String },
}

impl Operation for RetireGrant {
    const NAME: &'static str = "RetireGrant";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.string("KeyId", 1..=2048)?;
        let named_as = match (GrantToken::parse(members)?, key_id, parse_grant_id(members)?) {
            (Some(token), None, None) => NamedAs::Token(token),
            (None, Some(_), Some(grant_id)) => NamedAs::Id { key: ManagedKey::parse(members)?, grant_id },
            _ => {
                return Err(MemberError::Combination(
                    "Please specify either GrantToken or both KeyId and GrantId.",
                ));
            }
        };
        Ok(Self { named_as, dry_run: members.flag("DryRun")? })
    }

    fn audit_parameters(&self) -> Value {
        match &self.named_as {
            NamedAs::Token(_) => AuditParameters::new(),
            NamedAs::Id { key, grant_id } => key.audit_parameters().with("grantId", grant_id),
        }
        .with_dry_run(self.dry_run)
        .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let (entry, grant) = self.find(broker, invocation, event).await?;
        event.explain("grant", grant.id.to_string());
        let access = Access::new("kms:RetireGrant", &entry);
        let retired_as = broker.authorize_retirement(&grant, &access, invocation, event).await?;
        event.explain("retiredAs", retired_as.name());
        end_grant(&grant, self.dry_run, broker, event).await
    }
}

impl RetireGrant {
    async fn find(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<(Arc<KeyEntry>, Arc<Grant>), OperationError> {
        match &self.named_as {
            NamedAs::Id { key, grant_id } => {
                let id = grant_id.parse()?;
                let entry = key.find(broker, invocation, event).await?;
                let grant = grant_on(&entry, &id, broker).await?;
                Ok((entry, grant))
            }
            NamedAs::Token(token) => {
                let member = || "GrantToken".to_owned();
                let id = token.open(broker.root_key(), member).await?;
                let grant = broker.store().find_grant(&id).await?;
                let grant = grant.ok_or_else(|| OperationError::InvalidGrantToken { member: member() })?;
                let key = broker.identify(&grant.resource, invocation)?;
                Ok((broker.key(&key, event).await?, grant))
            }
        }
    }
}
