//! The log in `testdata/analysis`, which the command line's tests replay: written by the code that writes logs.

use nitro_key_broker::audit::{AskedOf, AuditEvent, Ending, Outcome, Subject};
use nitro_key_broker::keys::Realm;
use serde_json::{Value, json};
use snapbox::{Assert, Data};

use super::*;

fn line(described: &Described, request: u8, outcome: Outcome, asked: &[(&'static str, bool)]) -> String {
    let borrowed = Borrowed::of(described);
    let mut event = AuditEvent::new(Subject {
        request_id: format!("00000000-0000-4000-8000-0000000000{request:02}"),
        time: UnixTime::from_secs(described.now_secs),
        operation: described.action.trim_start_matches("kms:").to_owned(),
        source: "10.0.0.7".to_owned(),
        user_agent: Some("aws-cli/1.45".to_owned()),
    });
    if outcome != Outcome::Malformed {
        event.set_caller(&borrowed.caller, None);
        event.set_request_parameters(json!({
            "keyId": described.resource,
            "encryptionContext": borrowed.context,
        }));
    }
    for (action, allowed) in asked {
        let described = Described { action, ..described.clone() };
        let question = borrowed.question(&described);
        if let Some(recipient) = question.recipient {
            event.set_recipient(recipient.evidence());
        }
        event.add_asked(&question, AskedOf::Key { allowed_by: None }, *allowed);
    }
    let error = (outcome != Outcome::Allowed).then_some(("AccessDeniedException", "denied"));
    let realm = Realm::new("eu-central-1", generated_policies::ACCOUNT).unwrap();
    let ending = Ending {
        outcome,
        error,
        configured_trust_anchors: &[],
        event_id: &format!("00000000-0000-4000-9000-0000000000{request:02}"),
    };
    String::from_utf8(event.to_line(&realm, ending).unwrap()).unwrap()
}

#[test]
fn the_sample_log_is_as_the_broker_writes_it() {
    let described = |caller: &'static str, action: &'static str, image: usize, minute: u64| Described {
        caller,
        action,
        resource: generated_policies::KEY_ARN,
        values: vec![
            ("kms:RecipientAttestation:PCR0", vec![IMAGES[image].to_owned()]),
            ("kms:RecipientAttestation:PCR3", vec![IMAGES[0].to_owned()]),
            ("aws:SourceIp", vec!["10.0.0.7".to_owned()]),
            ("aws:SecureTransport", vec!["true".to_owned()]),
        ],
        encryption_context: vec![("Tenant", "a")],
        now_secs: NOW_SECS + 60 * minute,
    };
    let worker = "arn:aws:sts::111122223333:assumed-role/worker/i-0abc";
    let decrypt = [("kms:Decrypt", true)];
    let mut lines = vec![
        line(&described("anonymous", "kms:Decrypt", 0, 0), 1, Outcome::Allowed, &decrypt),
        line(&described("anonymous", "kms:Decrypt", 0, 5), 2, Outcome::Allowed, &decrypt),
        line(&described("anonymous", "kms:Decrypt", 1, 6), 3, Outcome::Denied, &[("kms:Decrypt", false)]),
        line(&described(worker, "kms:Decrypt", 1, 7), 4, Outcome::Denied, &[("kms:Decrypt", false)]),
        line(&described(worker, "kms:Decrypt", 1, 9), 5, Outcome::Denied, &[("kms:Decrypt", false)]),
        line(
            &described(worker, "kms:GenerateDataKey", 0, 10),
            6,
            Outcome::Allowed,
            &[("kms:GenerateDataKey", true)],
        ),
        line(&described("anonymous", "kms:Decrypt", 0, 11), 7, Outcome::Malformed, &[]),
    ];
    let mut old: Value = serde_json::from_str(&line(
        &described("anonymous", "kms:Decrypt", 0, 12),
        8,
        Outcome::Allowed,
        &decrypt,
    ))
    .unwrap();
    old["additionalEventData"]["decision"].as_object_mut().unwrap().remove("asked");
    lines.push(format!("{old}\n"));
    lines.push("{\"eventVersion\":\"1.11\",\"userIden\n".to_owned());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/analysis/audit.jsonl");
    Assert::new().action_env("SNAPSHOTS").eq(lines.concat(), Data::read_from(path.as_ref(), None).raw());
}
