use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::tags::SentTags;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::Particulars;

/// Tags put on a key, in place of those with the same keys (KMS API reference, *TagResource*). Policies may ask for them:
/// whoever tags a key may change who uses it.
pub struct TagResource {
    key: ManagedKey,
    tags: SentTags,
}

impl Operation for TagResource {
    const NAME: &'static str = "TagResource";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)?, tags: SentTags::parse_required(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with_optional("tags", self.tags.shown()).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let tags = self.tags.check()?;
        let particulars = Particulars { request_tags: Some(&tags), ..Particulars::default() };
        let entry =
            self.key.authorized_with("kms:TagResource", particulars, broker, invocation, event).await?;
        entry.key.require_not_pending_deletion()?;
        if !broker.store().set_tags(entry.key.id, &tags).await? {
            return Err(OperationError::TooManyTags);
        }
        Ok(NoMembers {})
    }
}
