use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::grant_members::{
    GrantsResponse, Page, parse_grant_id, parse_principal, parse_service_principal, principal,
    refuse_service_principals,
};
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::{Grant, GrantId};

/// The grants on a key, page by page in order of their ids (KMS API reference, *ListGrants*).
pub struct ListGrants {
    key: ManagedKey,
    grant_id: Option<String>,
    grantee: Option<String>,
    is_for_service: bool,
    page: Page,
}

impl Operation for ListGrants {
    const NAME: &'static str = "ListGrants";
    type Response = GrantsResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let parsed = Self {
            key: ManagedKey::parse(members)?,
            grant_id: parse_grant_id(members)?,
            grantee: parse_principal(members, "GranteePrincipal")?,
            is_for_service: parse_service_principal(members, "GranteeServicePrincipal")?,
            page: Page::parse(members)?,
        };
        if parsed.grantee.is_some() && parsed.is_for_service {
            return Err(MemberError::Combination(
                "Please specify either GranteePrincipal or GranteeServicePrincipal, not both.",
            ));
        }
        Ok(parsed)
    }

    fn audit_parameters(&self) -> Value {
        self.key
            .audit_parameters()
            .with_optional("grantId", self.grant_id.as_deref())
            .with_optional("granteePrincipal", self.grantee.as_deref())
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GrantsResponse, OperationError> {
        refuse_service_principals(self.is_for_service)?;
        let grantee = self.grantee.as_deref().map(principal).transpose()?;
        let grant_id: Option<GrantId> = self.grant_id.as_deref().map(str::parse).transpose()?;
        let entry = self.key.authorized("kms:ListGrants", broker, invocation, event).await?;
        let after = self.page.after()?;
        if let Some(id) = grant_id {
            let is_asked_for = |grant: &Grant| {
                *grant.resource == *entry.key.arn.as_str()
                    && after.is_none_or(|after| after < grant.id)
                    && grantee.as_ref().is_none_or(|grantee| *grantee == grant.terms.grantee)
            };
            let found = broker.store().find_grant(&id).await?;
            let found: Vec<Grant> =
                found.iter().map(|grant| Grant::clone(grant)).filter(is_asked_for).collect();
            return Ok(self.page.of(&found));
        }
        let read = self.page.rows_to_read();
        let grants = broker.store().list_grants(entry.key.id, grantee.as_ref(), after.as_ref(), read).await?;
        Ok(self.page.of(&grants))
    }
}
