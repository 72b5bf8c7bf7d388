//! What the operations on grants share: members that name principals and grants, and pages of grants.

use serde::{Serialize, Serializer};

use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::{MARKER, PRINCIPAL_ID, SERVICE_PRINCIPAL};
use crate::policy::{Grant, GrantConstraint, GrantId, GrantTerms, PrincipalArn};

/// Grants of an answer unless the request says otherwise, and at most (KMS API reference, *ListGrants*, `Limit`; the
/// model has 1,000).
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 100;

const NO_SERVICE_PRINCIPALS: &str =
    "no AWS service calls this broker, so a grant has no service principals and no SourceArn constraint";

/// A member that names a principal, in the characters of its model; whether it is one is seen later.
pub(super) fn parse_principal(members: &Members<'_>, name: &str) -> Result<Option<String>, MemberError> {
    Ok(members.text_of(name, 1..=256, &PRINCIPAL_ID)?.map(str::to_owned))
}

/// Whether there is a member that names an AWS service, such as `s3.amazonaws.com`.
pub(super) fn parse_service_principal(members: &Members<'_>, name: &str) -> Result<bool, MemberError> {
    Ok(members.text_of(name, 1..=128, &SERVICE_PRINCIPAL)?.is_some())
}

/// The principal of an ARN that was sent.
pub(super) fn principal(text: &str) -> Result<PrincipalArn, OperationError> {
    PrincipalArn::parse(text).map_err(OperationError::InvalidPrincipal)
}

pub(super) fn refuse_service_principals(asked_for: bool) -> Result<(), OperationError> {
    if asked_for { Err(OperationError::Unsupported(NO_SERVICE_PRINCIPALS)) } else { Ok(()) }
}

/// The member `GrantId`; whether it is one is seen later.
pub(super) fn parse_grant_id(members: &Members<'_>) -> Result<Option<String>, MemberError> {
    Ok(members.string("GrantId", 1..=128)?.map(str::to_owned))
}

/// Which part of a list is asked for.
pub(super) struct Page {
    limit: u32,
    /// The id of the grant that the page before ended with.
    marker: Option<String>,
}

impl Page {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let limit = members.integer("Limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        let marker = members.text_of("Marker", 1..=1024, &MARKER)?;
        Ok(Self { limit: u32::try_from(limit).unwrap_or(1), marker: marker.map(str::to_owned) })
    }

    pub(super) fn after(&self) -> Result<Option<GrantId>, OperationError> {
        self.marker
            .as_ref()
            .map(|marker| marker.parse().map_err(|_| OperationError::InvalidMarker))
            .transpose()
    }

    /// To read one more than is shown tells whether there are more.
    pub(super) fn rows_to_read(&self) -> u32 {
        self.limit.saturating_add(1)
    }

    /// The answer that shows what was read.
    pub(super) fn of(&self, grants: &[Grant]) -> GrantsResponse {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let truncated = grants.len() > limit;
        let grants: Vec<GrantListEntry> = grants.iter().take(limit).map(GrantListEntry::of).collect();
        let last = grants.last().map(|grant| grant.grant_id.clone());
        GrantsResponse { grants, next_marker: last.filter(|_| truncated), truncated }
    }
}

/// The answer of ListGrants and ListRetirableGrants.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GrantsResponse {
    grants: Vec<GrantListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

/// A grant as lists show it. The date is in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GrantListEntry {
    key_id: String,
    grant_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    creation_date: f64,
    grantee_principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<String>,
    issuing_account: String,
    operations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_member")]
    constraints: Option<GrantConstraint>,
}

impl GrantListEntry {
    fn of(grant: &Grant) -> Self {
        // Exhaustive, so that a new field is shown or left out on purpose.
        let Grant { id, resource, name, terms, issuing_account, created_at } = grant;
        let GrantTerms { grantee, retiring, operations, constraint } = terms;
        Self {
            key_id: resource.to_string(),
            grant_id: id.to_string(),
            name: name.as_deref().map(str::to_owned),
            creation_date: super::members::as_date(*created_at),
            grantee_principal: grantee.to_string(),
            retiring_principal: retiring.as_ref().map(ToString::to_string),
            issuing_account: format!("arn:aws:iam::{issuing_account}:root"),
            operations: operations.names().collect(),
            constraints: constraint.clone(),
        }
    }
}

fn as_member<S: Serializer>(constraint: &Option<GrantConstraint>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(constraint.iter().map(|constraint| (constraint.name(), constraint.context())))
}
