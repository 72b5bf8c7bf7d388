use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::page::Page;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// Entries of an answer unless the request says otherwise (KMS API reference, *ListResourceTags*, `Limit`).
const DEFAULT_LIMIT: i64 = 50;

/// The tags of a key, in order of their keys (KMS API reference, *ListResourceTags*).
pub struct ListResourceTags {
    key: ManagedKey,
    page: Page,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListResourceTagsResponse {
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

impl Operation for ListResourceTags {
    const NAME: &'static str = "ListResourceTags";
    type Response = ListResourceTagsResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)?, page: Page::parse(members, DEFAULT_LIMIT)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ListResourceTagsResponse, OperationError> {
        let entry = self.key.authorized("kms:ListResourceTags", broker, invocation, event).await?;
        let after = self.page.start(tag_key_of)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = entry.tags.range((start, Bound::Unbounded));
        let rest = rest.map(|(key, value)| Tag { tag_key: key.clone(), tag_value: value.clone() });
        let (tags, next_marker) = self.page.cut(rest.collect(), |last| marker_of(&last.tag_key));
        Ok(ListResourceTagsResponse { tags, truncated: next_marker.is_some(), next_marker })
    }
}

/// A tag's key may hold characters that a marker may not.
fn marker_of(tag_key: &str) -> String {
    URL_SAFE_NO_PAD.encode(tag_key)
}

fn tag_key_of(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()
}
