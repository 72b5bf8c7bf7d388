use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_members::{
    GrantsResponse, Page, parse_principal, parse_service_principal, principal, refuse_service_principals,
};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::{Caller, PrincipalArn};

/// The grants that a principal may retire, on whatever key, page by page in order of their ids (KMS API reference,
/// *ListRetirableGrants*). No key's policy is asked: it is for that principal itself, and for its account.
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
        _event: &mut AuditEvent,
    ) -> Result<GrantsResponse, OperationError> {
        refuse_service_principals(self.is_for_service)?;
        let retiring = principal(self.retiring.as_deref().unwrap_or_default())?;
        require_same_principal_or_its_account(&invocation.caller, &retiring)?;
        let (after, read) = (self.page.after()?, self.page.rows_to_read());
        let grants = broker.store().list_retirable_grants(&retiring, after.as_ref(), read).await?;
        Ok(self.page.of(&grants))
    }
}

fn require_same_principal_or_its_account(
    caller: &Caller,
    retiring: &PrincipalArn,
) -> Result<(), OperationError> {
    let is_allowed = caller.arn().is_some_and(|caller| {
        let is_its_account = caller.is_account_root() && caller.account() == retiring.account();
        retiring.covers(caller) || is_its_account
    });
    is_allowed.then_some(()).ok_or_else(|| OperationError::NotForThisCaller {
        caller: Box::new(caller.clone()),
        action: "kms:ListRetirableGrants",
        resource: retiring.to_string(),
    })
}
