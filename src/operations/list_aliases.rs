use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::KeylessAccess;
use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::page::Page;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{AliasName, Realm};
use crate::store::AliasEntry;

/// Entries of an answer unless the request says otherwise (KMS API reference, *ListAliases*, `Limit`).
const DEFAULT_LIMIT: i64 = 50;

/// Every alias, or those of one key, in order of their names (KMS API reference, *ListAliases*). An identity policy must
/// allow it; no key's policy is asked.
pub struct ListAliases {
    key: Option<ManagedKey>,
    page: Page,
}

/// The answer. Dates are in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAliasesResponse {
    aliases: Vec<AliasListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AliasListEntry {
    alias_name: String,
    alias_arn: String,
    target_key_id: String,
    creation_date: f64,
    last_updated_date: f64,
}

impl Operation for ListAliases {
    const NAME: &'static str = "ListAliases";
    type Response = ListAliasesResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse_optional(members)?, page: Page::parse(members, DEFAULT_LIMIT)? })
    }

    fn audit_parameters(&self) -> Value {
        let key_id = self.key.as_ref().map(ManagedKey::as_sent);
        AuditParameters::new().with_optional("keyId", key_id).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ListAliasesResponse, OperationError> {
        let access = KeylessAccess::new("kms:ListAliases", "*");
        let allowed_by = broker.authorize_by_identity(&access, invocation, event).await?;
        event.explain_optional("identityStatement", allowed_by);
        let key = match &self.key {
            Some(key) => Some(key.find(broker, invocation, event).await?.key.id),
            None => None,
        };
        let after = self.page.start(|marker| AliasName::parse(marker).ok())?;
        let after = after.as_ref().map(AliasName::as_str);
        let aliases = broker.store().list_aliases(key, after, self.page.to_read()).await?;
        let (aliases, next_marker) = self.page.cut(aliases, |last| last.name.to_string());
        Ok(ListAliasesResponse {
            aliases: aliases.iter().map(|alias| AliasListEntry::of(alias, broker.realm())).collect(),
            truncated: next_marker.is_some(),
            next_marker,
        })
    }
}

impl AliasListEntry {
    fn of(alias: &AliasEntry, realm: &Realm) -> Self {
        Self {
            alias_name: alias.name.to_string(),
            alias_arn: realm.alias_arn(&alias.name),
            target_key_id: alias.key.to_string(),
            creation_date: super::members::as_date(alias.created_at),
            last_updated_date: super::members::as_date(alias.updated_at),
        }
    }
}
