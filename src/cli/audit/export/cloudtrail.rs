use serde_json::Value;

use crate::audit::record::AuditRecord;

/// The record as CloudTrail's log files have it: the same members, but for `chain`, which CloudTrail has no place for. Its
/// number goes to `additionalEventData.sequence`.
pub(super) fn record(record: &AuditRecord) -> Value {
    let mut value = record.value().clone();
    if let Some(members) = value.as_object_mut() {
        members.remove("chain");
    }
    let additional = value.get_mut("additionalEventData").and_then(Value::as_object_mut);
    if let (Some(additional), Some(sequence)) = (additional, record.sequence) {
        additional.insert("sequence".to_owned(), sequence.into());
    }
    value
}
