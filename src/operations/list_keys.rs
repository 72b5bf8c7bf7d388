use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::KeylessAccess;
use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use super::page::Page;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{KeyId, Realm};

/// Entries of an answer unless the request says otherwise (KMS API reference, *ListKeys*, `Limit`).
const DEFAULT_LIMIT: i64 = 100;

/// Every key, in order of their ids (KMS API reference, *ListKeys*). An identity policy must allow it; no key's policy is
/// asked.
pub struct ListKeys {
    page: Page,
    /// Whether the keys of this account are asked for; no others are shared with it.
    own: bool,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeysResponse {
    keys: Vec<KeyListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyListEntry {
    key_id: String,
    key_arn: String,
}

impl Operation for ListKeys {
    const NAME: &'static str = "ListKeys";
    type Response = ListKeysResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const OWNERS: [&str; 2] = ["SELF", "OTHER_ACCOUNTS_VIA_RAM"];
        let owners = match members.has("ResourceOwners") {
            true => members.strings("ResourceOwners", 1..=2, 0..=usize::MAX)?,
            false => vec!["SELF"],
        };
        if let Some(unknown) = owners.iter().find(|owner| !OWNERS.contains(owner)) {
            let rule = format!("satisfy enum value set: [{}]", OWNERS.join(", "));
            return Err(members.violates("ResourceOwners.member", rule, Some(unknown)));
        }
        Ok(Self { page: Page::parse(members, DEFAULT_LIMIT)?, own: owners.contains(&"SELF") })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ListKeysResponse, OperationError> {
        let access = KeylessAccess::new("kms:ListKeys", "*");
        let allowed_by = broker.authorize_by_identity(&access, invocation, event).await?;
        event.explain_optional("identityStatement", allowed_by);
        let after: Option<KeyId> = self.page.start(|marker| marker.parse().ok())?;
        let ids = match self.own {
            true => broker.store().list_key_ids(after, self.page.to_read()).await?,
            false => Vec::new(),
        };
        let (ids, next_marker) = self.page.cut(ids, KeyId::to_string);
        Ok(ListKeysResponse {
            keys: ids.into_iter().map(|id| KeyListEntry::of(id, broker.realm())).collect(),
            truncated: next_marker.is_some(),
            next_marker,
        })
    }
}

impl KeyListEntry {
    fn of(id: KeyId, realm: &Realm) -> Self {
        Self { key_id: id.to_string(), key_arn: realm.key_arn(id).to_string() }
    }
}
