use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::KeylessAccess;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_members::{
    GrantsResponse, Page, parse_principal, parse_service_principal, principal, refuse_service_principals,
};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::PrincipalArn;

/// The grants that a principal may retire, on whatever key, page by page in order of their ids (KMS API reference,
/// *ListRetirableGrants*). No key's policy is asked: it is for that principal itself, for its account, and for whom an
/// identity policy of the account gives it.
pub struct ListRetirableGrants {
    retiring: Option<String>,
    is_for_service: bool,
    page: Page,
}

impl Operation for ListRetirableGrants {
    const NAME: &'static str = "ListRetirableGrants";
    type Response = GrantsResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let parsed = Self {
            retiring: parse_principal(members, "RetiringPrincipal")?,
            is_for_service: parse_service_principal(members, "RetiringServicePrincipal")?,
            page: Page::parse(members)?,
        };
        if parsed.retiring.is_some() == parsed.is_for_service {
            return Err(MemberError::Combination(
                "Please specify either RetiringPrincipal or RetiringServicePrincipal, one of the two and not both.",
            ));
        }
        Ok(parsed)
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new().with_optional("retiringPrincipal", self.retiring.as_deref()).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GrantsResponse, OperationError> {
        refuse_service_principals(self.is_for_service)?;
        let retiring = principal(self.retiring.as_deref().unwrap_or_default())?;
        self.authorize(&retiring, broker, invocation, event).await?;
        let (after, read) = (self.page.after()?, self.page.rows_to_read());
        let grants = broker.store().list_retirable_grants(&retiring, after.as_ref(), read).await?;
        Ok(self.page.of(&grants))
    }
}

impl ListRetirableGrants {
    /// A principal may see what it may retire itself, and an account's root what the account's principals may, unless an
    /// identity policy denies it; others need one that allows it.
    async fn authorize(
        &self,
        retiring: &PrincipalArn,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<(), OperationError> {
        const ACTION: &str = "kms:ListRetirableGrants";
        let caller = invocation.caller.arn().filter(|caller| caller.account() == retiring.account());
        let Some(caller) = caller else {
            return Err(OperationError::NotForThisCaller {
                caller: Box::new(invocation.caller.clone()),
                action: ACTION,
                resource: retiring.to_string(),
            });
        };
        if retiring.covers(caller) || caller.is_account_root() {
            return broker.require_no_deny(ACTION, retiring.as_str(), invocation, event).await;
        }
        let access = KeylessAccess::new(ACTION, retiring.as_str());
        broker.authorize_by_identity(&access, invocation, event).await?;
        Ok(())
    }
}
