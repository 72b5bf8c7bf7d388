use serde::Serialize;
use serde_json::{Map, Value, json};

use super::recipient::Recipient;
use crate::encryption_context::EncryptionContext;

/// The `requestParameters` of an audit record, member by member, by CloudTrail's names. What a request does not have is
/// left out.
#[derive(Default)]
pub(super) struct AuditParameters(Map<String, Value>);

impl AuditParameters {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.0.insert(name.to_owned(), json!(value));
        self
    }

    pub(super) fn with_optional(self, name: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn with_context(self, name: &str, context: &EncryptionContext) -> Self {
        if context.is_empty() { self } else { self.with(name, context) }
    }

    /// Not the document, which is bulky; what it says is recorded once it is verified.
    pub(super) fn with_recipient(self, recipient: Option<&Recipient>) -> Self {
        let shown = recipient.map(|_| json!({"keyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}));
        self.with_optional("recipient", shown)
    }

    pub(super) fn with_dry_run(self, dry_run: bool) -> Self {
        if dry_run { self.with("dryRun", true) } else { self }
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
