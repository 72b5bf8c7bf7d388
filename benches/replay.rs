//! `policy replay` over a log of 100,000 records: reading each line, putting its question together and judging it again under
//! another policy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may stop at the first surprise, and its result goes to standard output"
)]

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use nitro_key_broker::analysis::{CurrentPolicies, Scope, replay_log};
use nitro_key_broker::attestation::{self, Requirements, TrustAnchors, VerifiedEvidence};
use nitro_key_broker::audit::reader::Lines;
use nitro_key_broker::audit::{AskedOf, AuditEvent, Ending, Outcome, Subject};
use nitro_key_broker::keys::Realm;
use nitro_key_broker::policy::{Caller, KeyPolicy, PrincipalArn, Question};
use nitro_key_broker::time::UnixTime;
use serde_json::json;

const RECORDS: u64 = 100_000;
const PRINCIPALS: u64 = 50;
const KEY_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
const ROUNDS: usize = 3;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let bytes = write_log(&path);
    let policy = Arc::new(
        KeyPolicy::parse(
            &json!({
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
                        "Condition": {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": "ab".repeat(48)}},
                    },
                    {
                        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/worker-7"},
                        "Action": "kms:*", "Resource": "*",
                        "Condition": {"StringEquals": {"kms:EncryptionContext:Tenant": "a"}},
                    },
                    {
                        "Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
                        "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
                    },
                ],
            })
            .to_string(),
        )
        .unwrap(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    println!("{RECORDS} records of {} bytes in the mean", bytes / RECORDS);
    for round in 1..=ROUNDS {
        let scope = Scope { key: Some((KEY_ARN.to_owned(), Arc::clone(&policy))), identity: None };
        let start = Instant::now();
        let report = runtime
            .block_on(async {
                let mut policies = CurrentPolicies::new(None, scope).await.unwrap();
                replay_log(Lines::of_log(&path).unwrap(), &mut policies).await
            })
            .unwrap();
        let elapsed = start.elapsed();
        assert_eq!(report.counts.records, RECORDS);
        assert_eq!(report.counts.newly_denied + report.counts.decisions_unchanged, RECORDS);
        println!(
            "round {round}: {:.2} s, {:.1} µs a record; {} would change, in {} groups",
            elapsed.as_secs_f64(),
            elapsed.as_secs_f64() * 1e6 / RECORDS as f64,
            report.counts.newly_denied,
            report.changes.len(),
        );
    }
}

/// As the broker writes it, for a recorded enclave and many callers; returns its length.
fn write_log(path: &std::path::Path) -> u64 {
    let document = include_bytes!("../testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin");
    let now = UnixTime::parse_rfc3339("2025-01-06T16:07:10Z").unwrap();
    let recipient =
        attestation::verify(document, &TrustAnchors::aws().unwrap(), now, &Requirements::default())
            .and_then(VerifiedEvidence::into_recipient)
            .unwrap();
    let realm = Realm::new("eu-central-1", "111122223333").unwrap();
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut bytes = 0;
    for number in 0..RECORDS {
        let arn = format!("arn:aws:sts::111122223333:assumed-role/worker-{}/i-0abc", number % PRINCIPALS);
        let caller = Caller::Principal { arn: PrincipalArn::parse(&arn).unwrap() };
        let question = Question {
            recipient: Some(&recipient),
            source_ip: Some("10.0.0.7".parse().unwrap()),
            ..Question::new(&caller, "kms:Decrypt", KEY_ARN, UnixTime::from_secs(now.as_secs() + number))
        };
        let mut event = AuditEvent::new(Subject {
            request_id: format!("00000000-0000-4000-8000-{number:012}"),
            time: question.now,
            operation: "Decrypt".to_owned(),
            source: "10.0.0.7".to_owned(),
            user_agent: Some("aws-sdk-rust/1.3".to_owned()),
        });
        event.set_caller(&caller, Some("ASIAEXAMPLE"));
        event.set_request_parameters(json!({"keyId": KEY_ARN, "encryptionContext": {"Tenant": "a"}}));
        event.set_recipient(recipient.evidence());
        event.add_asked(&question, AskedOf::Key { allowed_by: None }, true);
        let ending = Ending {
            outcome: Outcome::Allowed,
            error: None,
            configured_trust_anchors: &[],
            event_id: "00000000-0000-4000-9000-000000000000",
        };
        let line = event.to_line(&realm, ending).unwrap();
        bytes += line.len() as u64;
        file.write_all(&line).unwrap();
    }
    file.flush().unwrap();
    bytes
}
