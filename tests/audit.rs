//! The audit log: one record for each decision, with CloudTrail's names, durable before the answer leaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "support/signer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod signer;
#[path = "support/small_disk.rs"]
mod small_disk;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use broker::enclave::{Enclave, development_root};
use broker::{DEVELOPMENT_ROOT_PATH, NOW, Setup, TestBroker, TestKey, open_policy, policy_on_pcr0};
use nitro_key_broker::attestation::TrustAnchors;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signer::sign;
use small_disk::SmallDisk;

const INTERNAL: &str = "500 KMSInternalException: The request failed inside the broker; its log says why.";

fn generate(key: &TestKey, enclave: &Enclave) -> Value {
    json!({
        "KeyId": key.arn, "KeySpec": "AES_256", "EncryptionContext": {"tenant": "a"},
        "Recipient": enclave.recipient(NOW),
    })
}

#[tokio::test]
async fn an_allowed_request_is_recorded_with_the_names_of_cloudtrail() {
    let broker = TestBroker::start().await;
    let (key, enclave) = (broker.create_key(&open_policy()).await, Enclave::new());
    let mut request = broker::client::request("GenerateDataKey", generate(&key, &enclave).to_string());
    request.headers_mut().insert("user-agent", "aws-cli/1.45".parse().unwrap());
    let answer = broker.connect().await.send(request).await;
    answer.members();

    let mut record = broker.audit_record(answer.request_id());
    let event_id = record["eventID"].take();
    uuid::Uuid::try_parse(event_id.as_str().unwrap()).unwrap();
    assert_ne!(event_id, answer.request_id());
    let log = record["chain"]["log"].take();
    assert!(log.as_str().unwrap().starts_with("nitro-key-broker/audit/"), "{log}");
    let root_sha256 = hex::encode(Sha256::digest(development_root().certificate_der()));
    assert_eq!(
        record,
        json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "AWSAccount", "principalId": "anonymous"},
            "eventTime": "2026-01-03T20:41:07Z",
            "eventSource": "kms.amazonaws.com",
            "eventName": "GenerateDataKey",
            "awsRegion": "us-east-1",
            "sourceIPAddress": "127.0.0.1",
            "userAgent": "aws-cli/1.45",
            "errorCode": null,
            "errorMessage": null,
            "requestParameters": {
                "keyId": key.arn,
                "keySpec": "AES_256",
                "encryptionContext": {"tenant": "a"},
                "recipient": {"keyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"},
            },
            "responseElements": null,
            "additionalEventData": {
                "recipient": {
                    "attestationDocumentModuleId": enclave.module_id(),
                    "attestationDocumentEnclaveImageDigest": enclave.pcr(0),
                    "attestationDocumentEnclavePCR1": enclave.pcr(1),
                    "attestationDocumentEnclavePCR2": enclave.pcr(2),
                    "attestationDocumentEnclavePCR3": enclave.pcr(3),
                    "attestationDocumentEnclavePCR4": enclave.pcr(4),
                    "attestationDocumentEnclavePCR8": enclave.pcr(8),
                    "attestationDocumentZeroPCRs": [5, 6, 7, 9, 10, 11, 12, 13, 14, 15],
                    "attestationDocumentZeroPCRs": [5, 6, 7, 9, 10, 11, 12, 13, 14, 15],
                    "attestationDocumentTimestamp": "2026-01-03T20:41:07Z",
                    "attestationDocumentTrustAnchorSha256": root_sha256,
                },
                "decision": {
                    "outcome": "allowed",
                    "statement": "Statement[0] \"Enclave\"",
                    "asked": [{
                        "action": "kms:GenerateDataKey",
                        "resource": key.arn,
                        "allowed": true,
                        "attested": true,
                        "context": {
                            "aws:SecureTransport": false,
                            "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                            "kms:KeyOrigin": "AWS_KMS",
                            "kms:KeySpec": "SYMMETRIC_DEFAULT",
                            "kms:KeyUsage": "ENCRYPT_DECRYPT",
                        },
                    }],
                },
                "configuredTrustAnchors":
                    [format!("CONFIGURED root {DEVELOPMENT_ROOT_PATH} (SHA-256 {root_sha256})")],
            },
            "requestID": answer.request_id(),
            "eventID": null,
            "readOnly": true,
            "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key.arn}],
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": "111122223333",
            "eventCategory": "Management",
            "chain": {"sequence": 0, "log": null, "tree": []},
        })
    );
}

#[tokio::test]
async fn every_decision_has_one_record_with_its_outcome() {
    let broker = TestBroker::start().await;
    let enclave = Enclave::new();
    let (key, locked) =
        (broker.create_key(&open_policy()).await, broker.create_key(&policy_on_pcr0(&"ab".repeat(48))).await);
    let broken = broker.create_key(&open_policy()).await;
    let sql = format!("UPDATE key_materials SET wrapped = x'00' WHERE key_id = '{}'", broken.id);
    broker.database().await.execute(&sql).await;
    let mut client = broker.connect().await;
    let mut answered = Vec::new();
    for (body, outcome, error_code) in [
        (generate(&key, &enclave).to_string(), "allowed", Value::Null),
        (generate(&locked, &enclave).to_string(), "denied", json!("AccessDeniedException")),
        (json!({"KeyId": key.arn, "KeySpec": "AES_256"}).to_string(), "denied", json!("ValidationException")),
        (
            json!({"KeyId": key.arn, "KeySpec": "AES_1"}).to_string(),
            "malformed",
            json!("ValidationException"),
        ),
        ("{".to_owned(), "malformed", json!("SerializationException")),
        (generate(&broken, &enclave).to_string(), "failed", json!("KMSInternalException")),
    ] {
        let answer = client.post("GenerateDataKey", body).await;
        let record = broker.audit_record(answer.request_id());
        assert_eq!(record["additionalEventData"]["decision"]["outcome"], outcome, "{record}");
        assert_eq!(record["errorCode"], error_code);
        if answer.status != 200 {
            assert_eq!(record["errorMessage"], answer.json()["message"]);
        }
        answered.push(answer.request_id().to_owned());
    }
    let recorded: Vec<Value> =
        broker.audit_records().into_iter().map(|record| record["requestID"].clone()).collect();
    assert_eq!(recorded, answered, "one record to an answer, in order");
}

#[tokio::test]
async fn denials_say_why_and_only_here() {
    let broker = TestBroker::start().await;
    let (key, enclave) = (broker.create_key(&policy_on_pcr0(&"ab".repeat(48))).await, Enclave::new());
    let answer = broker.connect().await.call("GenerateDataKey", &generate(&key, &enclave)).await;
    let decision = broker.audit_record(answer.request_id())["additionalEventData"]["decision"].clone();
    let reason = decision["reasons"][0].as_str().unwrap();
    assert!(reason.contains("kms:RecipientAttestation:PCR0"), "{reason}");
    // The caller does not learn what the policy asks for.
    assert!(!answer.refusal().contains("PCR0"));
    assert!(!answer.refusal().contains(&"ab".repeat(48)));
}

#[tokio::test]
async fn a_signed_caller_is_named_and_its_secrets_are_not() {
    let broker = TestBroker::start().await;
    let (key, enclave) = (broker.create_key(&open_policy()).await, Enclave::new());
    let role = "arn:aws:sts::111122223333:assumed-role/app/session";
    let credential = broker.create_credential(role, Some(3600)).await;
    let request = broker::client::request("GenerateDataKey", generate(&key, &enclave).to_string());
    let answer = broker.connect().await.send(sign(request, &credential, broker.now()).await).await;
    answer.members();
    let record = broker.audit_record(answer.request_id());
    assert_eq!(
        record["userIdentity"],
        json!({
            "type": "AssumedRole", "arn": role, "accountId": "111122223333",
            "accessKeyId": credential.access_key_id,
        })
    );
    let text = record.to_string();
    assert!(!text.contains(&credential.secret) && !text.contains(&credential.session_token.unwrap()));
}

#[tokio::test]
async fn only_configured_roots_are_announced() {
    let setup = Setup { trust_anchors: TrustAnchors::aws().unwrap(), ..Setup::default() };
    let broker = TestBroker::start_with(setup).await;
    let answer = broker.connect().await.post("Decrypt", "{}").await;
    let record = broker.audit_record(answer.request_id());
    assert_eq!(record["additionalEventData"]["configuredTrustAnchors"], Value::Null);

    // With a configured root every record says so, also one in which no document plays a part.
    let broker = TestBroker::start().await;
    let answer = broker.connect().await.post("Decrypt", "{}").await;
    let announced =
        broker.audit_record(answer.request_id())["additionalEventData"]["configuredTrustAnchors"].clone();
    assert!(announced[0].as_str().unwrap().starts_with("CONFIGURED root development/root.pem"));
}

#[tokio::test]
async fn records_are_on_disk_when_the_answer_arrives() {
    let broker = TestBroker::start().await;
    let (key, enclave) = (broker.create_key(&open_policy()).await, Enclave::new());
    let members = generate(&key, &enclave);
    let tasks = (0..8).map(|_| {
        let (address, members) = (broker.address(), members.clone());
        let path = broker.folder().join("audit.jsonl");
        tokio::spawn(async move {
            let mut client = broker::client::Client::over_tcp(address).await;
            for _ in 0..25 {
                let answer = client.call("GenerateDataKey", &members).await;
                answer.members();
                let log = std::fs::read_to_string(&path).unwrap();
                assert!(log.contains(answer.request_id()), "answered before it was recorded");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let ids: BTreeSet<String> =
        broker.audit_records().iter().map(|record| record["requestID"].to_string()).collect();
    assert_eq!((broker.audit_records().len(), ids.len()), (200, 200));
}

/// Writing fails on a full disk, synchronising fails on a pipe; both are no record.
#[tokio::test]
async fn without_a_record_nothing_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("audit.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for audit_path in [PathBuf::from("/dev/full"), pipe] {
        let setup = Setup { audit_path: Some(audit_path.clone()), ..Setup::default() };
        let broker = TestBroker::start_with(setup).await;
        let (key, enclave) = (broker.create_key(&open_policy()).await, Enclave::new());
        let mut client = broker.connect().await;
        for (operation, body) in [
            ("GenerateDataKey", generate(&key, &enclave)),
            ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key.arn, "KeySpec": "AES_256"})),
            ("Decrypt", json!({"CiphertextBlob": "AAAA", "Recipient": enclave.recipient(NOW)})),
            ("Decrypt", json!({})),
            ("Unknown", json!([])),
        ] {
            let answer = client.call(operation, &body).await;
            assert_eq!(answer.refusal(), INTERNAL, "{operation} with {}", audit_path.display());
        }
        // The health check decides nothing and needs no record.
        let ping = hyper::Request::get("/ping").body(http_body_util::Full::default()).unwrap();
        assert_eq!(client.send(ping).await.status, 200);
    }
}

#[tokio::test]
async fn when_the_log_can_be_written_again_it_goes_on() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("NOT TESTED: a disk that fills up, since this user may not mount one in memory");
        return;
    };
    let setup = Setup { audit_path: Some(disk.path().join("audit.jsonl")), ..Setup::default() };
    let broker = TestBroker::start_with(setup).await;
    let key = broker.create_key(&open_policy()).await;
    let members = json!({"KeyId": key.arn, "KeySpec": "AES_256"});
    let mut client = broker.connect().await;
    let mut answered = Vec::new();
    loop {
        let answer = client.call("GenerateDataKeyWithoutPlaintext", &members).await;
        if answer.status != 200 {
            assert_eq!(answer.refusal(), INTERNAL);
            break;
        }
        answered.push(answer.request_id().to_owned());
    }
    disk.make_room();
    let answer = client.call("GenerateDataKeyWithoutPlaintext", &members).await;
    answer.members();
    answered.push(answer.request_id().to_owned());
    let recorded: Vec<String> = broker
        .audit_records()
        .iter()
        .map(|record| record["requestID"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recorded, answered, "whole records of the answered requests and nothing else");
}

/// What the operations record of their questions is enough to put them again, and they come out as they did.
#[tokio::test]
async fn every_recorded_decision_can_be_made_again() {
    use nitro_key_broker::analysis::{Rulings, judge_again, recorded_decisions};
    use nitro_key_broker::audit::record::AuditRecord;
    use nitro_key_broker::policy::KeyPolicy;

    let broker = TestBroker::start().await;
    let enclave = Enclave::new();
    // What it asks about is in a different place of each request, or in none.
    let conditions = json!({
        "StringEquals": {"kms:EncryptionContext:tenant": "a"},
        "StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": enclave.pcr(0)},
        "Null": {"kms:RecipientAttestation:PCR5": "false"},
    });
    let policy = broker::policy(&conditions);
    let key = broker.create_key(&policy).await;
    let parsed = KeyPolicy::parse(&policy.to_string()).unwrap();
    let mut client = broker.connect().await;
    let (recipient, context) = (enclave.recipient(NOW), json!({"tenant": "a"}));
    let plaintext = "AAAA";
    let generated = client.call("GenerateDataKey", &generate(&key, &enclave)).await.members();
    let blob = &generated["CiphertextBlob"];
    for (operation, members) in [
        ("GenerateDataKeyWithoutPlaintext", json!({"KeySpec": "AES_256", "EncryptionContext": context})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyPair", json!({"KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": context})),
        ("Encrypt", json!({"Plaintext": plaintext, "EncryptionContext": context})),
        ("Encrypt", json!({"Plaintext": plaintext})),
        ("Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": context})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
    ] {
        let mut members = members;
        members["KeyId"] = json!(key.arn);
        members["Recipient"] = recipient.clone();
        client.call(operation, &members).await;
    }
    let mut moved = json!({
        "CiphertextBlob": blob, "DestinationKeyId": key.arn, "SourceEncryptionContext": context,
        "DestinationEncryptionContext": context, "Recipient": recipient,
    });
    client.call("ReEncrypt", &moved).await.members();
    moved["DestinationEncryptionContext"] = json!({"tenant": "b"});
    client.call("ReEncrypt", &moved).await;
    client.call("DescribeKey", &json!({"KeyId": key.arn})).await;

    let (mut allowed, mut denied) = (0, 0);
    for record in broker.audit_records() {
        let record = AuditRecord::parse(record.to_string().as_bytes()).unwrap();
        let decisions = recorded_decisions(&record).unwrap();
        assert!(!decisions.is_empty(), "{:?}", record.operation);
        for recorded in decisions {
            let rulings = Rulings { key: Some(&parsed), identity: &[], grants: &[] };
            let again = judge_again(&recorded, &rulings, None).unwrap();
            assert_eq!(again.allowed, recorded.allowed, "{} {recorded:?}", record.operation);
            *(if again.allowed { &mut allowed } else { &mut denied }) += 1;
        }
    }
    assert_eq!((allowed, denied), (8, 5));
}
