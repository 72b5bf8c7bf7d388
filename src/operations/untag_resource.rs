use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::{Invocation, Operation, tags};
use crate::audit::AuditEvent;
use crate::policy::Particulars;

/// Tags taken from a key; those that it does not have are no error (KMS API reference, *UntagResource*).
pub struct UntagResource {
    key: ManagedKey,
    tag_keys: Vec<String>,
}

impl Operation for UntagResource {
    const NAME: &'static str = "UntagResource";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        if !members.has("TagKeys") {
            return Err(members.missing("TagKeys"));
        }
        let tag_keys = members.strings("TagKeys", 0..=usize::MAX, 1..=128)?;
        Ok(Self { key, tag_keys: tag_keys.into_iter().map(str::to_owned).collect() })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("tagKeys", &self.tag_keys).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        tags::check_keys(&self.tag_keys)?;
        let particulars = Particulars { tag_keys: &self.tag_keys, ..Particulars::default() };
        let entry =
            self.key.authorized_with("kms:UntagResource", particulars, broker, invocation, event).await?;
        entry.key.require_not_pending_deletion()?;
        broker.store().delete_tags(entry.key.id, &self.tag_keys).await?;
        Ok(NoMembers {})
    }
}
