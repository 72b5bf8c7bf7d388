use std::net::IpAddr;

use serde_json::{Value, json};

use crate::audit::Outcome;
use crate::audit::record::{AuditRecord, RecordedRecipient};

/// The version of the Elastic Common Schema whose names are used.
const ECS_VERSION: &str = "8.17.0";

/// The record with the names of the Elastic Common Schema (ECS reference, *ECS Field Reference*). What ECS has no name
/// for is under `nitro_key_broker`, as ECS recommends for custom fields.
pub(super) fn document(record: &AuditRecord) -> Value {
    let realm = |name| record.value().get(name).cloned().unwrap_or(Value::Null);
    let ip: Option<IpAddr> = record.source.parse().ok();
    let principal = record.identity.principal();
    let mut document = json!({
        "@timestamp": record.time.to_string(),
        "ecs": {"version": ECS_VERSION},
        "event": {
            "kind": "event",
            "category": ["configuration"],
            "type": [if record.read_only { "access" } else { "change" }],
            "action": record.operation,
            "outcome": outcome(record.outcome),
            "id": record.event_id,
            "sequence": record.sequence,
            "provider": "kms.amazonaws.com",
            "module": "nitro_key_broker",
            "dataset": "nitro_key_broker.audit",
            "reason": record.reasons().collect::<Vec<_>>().join("; "),
        },
        "user": {"id": principal, "name": record.identity.as_str()},
        "source": {"address": record.source, "ip": ip},
        "user_agent": {"original": record.user_agent},
        "error": {"code": record.error_code, "message": record.error_message},
        "http": {"request": {"id": record.request_id}},
        "cloud": {
            "provider": "aws",
            "service": {"name": "kms"},
            "region": realm("awsRegion"),
            "account": {"id": realm("recipientAccountId")},
        },
        "related": {
            "user": principal.into_iter().collect::<Vec<_>>(),
            "ip": ip.into_iter().collect::<Vec<_>>(),
        },
        "nitro_key_broker": {
            "decision": record.outcome.as_str(),
            "keys": record.keys,
            "access_key_id": record.access_key_id,
            // A list, for each name would become a field of the index.
            "encryption_context": record
                .encryption_context()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect::<Vec<_>>(),
            "recipient": record.recipient.as_ref().map(recipient),
        },
    });
    drop_empty(&mut document);
    document
}

fn recipient(recipient: &RecordedRecipient) -> Value {
    let RecordedRecipient { module_id, pcrs, timestamp, trust_anchor_sha256 } = recipient;
    let pcrs: serde_json::Map<String, Value> =
        pcrs.iter().map(|(index, value)| (format!("pcr{index}"), json!(value))).collect();
    json!({
        "module_id": module_id,
        "pcrs": pcrs,
        "timestamp": timestamp.to_string(),
        "trust_anchor_sha256": trust_anchor_sha256,
    })
}

/// ECS knows three. A request that was refused is a failure of the request; one that the broker failed is no decision.
fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => "success",
        Outcome::Denied | Outcome::Malformed => "failure",
        Outcome::Failed => "unknown",
    }
}

/// ECS leaves out what is not known.
fn drop_empty(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(drop_empty);
        members.retain(|_, member| match member {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        });
    }
}
