//! Audit logs made for tests: records with all that the readers look at, chained as the writer does it.

use nitro_key_broker::audit::chain::{ChainHead, LinkTerms};
use nitro_key_broker::signed_note::{Checkpoint, NoteSigner};
use serde_json::{Value, json};

/// The published example of Go's `sumdb/note`; nothing is signed with it that anybody trusts.
pub const SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
/// Its name, which logs of these tests have.
pub const LOG: &str = "PeterNeumann";

pub fn signer() -> NoteSigner {
    NoteSigner::parse(SIGNER).unwrap()
}

/// The `number`-th record: allowed, denied, anonymous and malformed ones take turns.
pub fn record(number: u64) -> Value {
    let key = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-4def-8123-456789abcdef";
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLE",
        },
        "eventTime": format!("2026-01-03T20:{:02}:{:02}Z", number / 60 % 60, number % 60),
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2",
        "errorCode": null,
        "errorMessage": null,
        "requestParameters": {"keyId": key, "encryptionContext": {"tenant": "a"}},
        "responseElements": null,
        "additionalEventData": {
            "recipient": {
                "attestationDocumentModuleId": "i-0123456789abcdef0-enc0123456789abcdef",
                "attestationDocumentEnclaveImageDigest": "ab".repeat(48),
                "attestationDocumentEnclavePCR8": "cd".repeat(48),
                "attestationDocumentTimestamp": "2026-01-03T20:00:00Z",
                "attestationDocumentTrustAnchorSha256": "ef".repeat(32),
            },
            "decision": {"outcome": "allowed", "statement": "Statement[0] \"Enclave\""},
        },
        "requestID": format!("request-{number}"),
        "eventID": format!("event-{number}"),
        "readOnly": true,
        "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key}],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    });
    match number % 4 {
        1 => {
            record["errorCode"] = json!("AccessDeniedException");
            record["errorMessage"] = json!("The caller may not do this.");
            record["additionalEventData"]["decision"] = json!({"outcome": "denied", "reasons": ["Statement[0]: kms:RecipientAttestation:PCR0 differs"]});
        }
        2 => {
            record["userIdentity"] = json!({"type": "AWSAccount", "principalId": "anonymous"});
            record["sourceIPAddress"] = json!("vsock:16:1024");
        }
        3 => {
            record["userIdentity"] = json!({"type": "Unknown"});
            record["userAgent"] = json!("=HYPERLINK(\"http://evil\")\u{1b}[2J\u{202e}");
            record["errorCode"] = json!("SerializationException");
            record["errorMessage"] = json!("not JSON, \"quoted\"");
            record["requestParameters"] = Value::Null;
            record["resources"] = json!([]);
            record["additionalEventData"] = json!({"decision": {"outcome": "malformed"}});
        }
        _ => {}
    }
    record
}

/// The shortest records that a chain takes, for tests that look at every byte.
pub fn short_record(number: u64) -> Value {
    json!({"n": number})
}

/// Chained lines, and where their chain ends. Files begin where `starts_file` says.
pub fn chained(
    records: impl Iterator<Item = Value>,
    starts_file: impl Fn(u64) -> bool,
) -> (Vec<Vec<u8>>, ChainHead) {
    let mut head = ChainHead::of_new_log(LOG);
    let lines = records.map(|record| {
        let terms = LinkTerms { starts_file: starts_file(head.next_sequence()), set_apart: None };
        head.link(format!("{record}\n").as_bytes(), terms).unwrap()
    });
    (lines.collect(), head)
}

pub fn checkpoint(head: &ChainHead) -> Checkpoint {
    Checkpoint { origin: head.log.clone(), size: head.next_sequence(), root: head.tree.root() }
}
