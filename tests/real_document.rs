//! A document recorded on real hardware takes a data key through the whole broker: HTTP, the AWS root, a policy on its
//! real measurements, the clock at its own time.

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
#[path = "support/recorded.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::enclave::{Envelope, recipient};
use broker::{Setup, TestBroker, TestKey, policy, policy_on_pcr0};
use nitro_key_broker::attestation::{self, Requirements, TrustAnchors, VerifiedEvidence};
use nitro_key_broker::time::UnixTime;
use recorded::Recorded;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The one recorded document whose public key can receive an answer.
fn document() -> Recorded {
    recorded::in_repository().into_iter().find(|document| document.is_recipient).unwrap()
}

/// What the document says, read past the broker under test.
fn evidence(document: &Recorded) -> VerifiedEvidence {
    let (anchors, now) = (TrustAnchors::aws().unwrap(), document.timestamp.unwrap());
    attestation::verify(&document.bytes, &anchors, now, &Requirements::default()).unwrap()
}

/// A broker that trusts the AWS root alone, its clock at the document's own time.
async fn broker(document: &Recorded) -> TestBroker {
    let setup = Setup { trust_anchors: TrustAnchors::aws().unwrap(), ..Setup::default() };
    let broker = TestBroker::start_with(setup).await;
    broker.set_clock(document.timestamp.unwrap());
    broker
}

fn request(key: &TestKey, document: &Recorded) -> Value {
    json!({"KeyId": key.arn, "KeySpec": "AES_256", "Recipient": recipient(&document.bytes)})
}

#[tokio::test]
async fn the_real_document_receives_a_data_key_under_the_real_root() {
    let document = document();
    let evidence = evidence(&document);
    let pcr0 = evidence.pcrs().get(0).unwrap().to_hex();
    let broker = broker(&document).await;
    assert_eq!(broker.now().as_secs(), UnixTime::parse_rfc3339("2025-01-06T16:07:05Z").unwrap().as_secs());
    let key = broker.create_key(&policy_on_pcr0(&pcr0)).await;

    let answer = broker.connect().await.call("GenerateDataKey", &request(&key, &document)).await;
    let members = answer.members();
    let names: Vec<&String> = members.as_object().unwrap().keys().collect();
    assert_eq!(names, ["CiphertextBlob", "CiphertextForRecipient", "KeyId"]);
    assert_eq!(members["KeyId"], key.arn);

    // Dissecting checks every constant of the layout, the indefinite lengths of the outer layers among them.
    let envelope = STANDARD.decode(members["CiphertextForRecipient"].as_str().unwrap()).unwrap();
    let envelope = Envelope::dissect(&envelope);
    let spki = evidence.public_key().unwrap();
    assert_eq!(envelope.subject_key_identifier, Sha256::digest(spki).as_slice());
    assert_eq!(envelope.encrypted_content.len(), 48);

    let record = broker.audit_record(answer.request_id());
    assert_eq!(record["eventTime"], "2025-01-06T16:07:05Z");
    assert_eq!(record["additionalEventData"]["decision"]["outcome"], "allowed");
    assert_eq!(record["additionalEventData"]["configuredTrustAnchors"], Value::Null);
    let facts = &record["additionalEventData"]["recipient"];
    assert_eq!(facts["attestationDocumentModuleId"], "i-0bee92034f3d60691-enc01943c5eaab3ad6a");
    assert_eq!(facts["attestationDocumentEnclaveImageDigest"], pcr0);
    for index in [1, 2, 3, 4, 8] {
        let pcr = evidence.pcrs().get(index).unwrap().to_hex();
        assert_eq!(facts[format!("attestationDocumentEnclavePCR{index}")], pcr, "PCR{index}");
    }
}

#[tokio::test]
async fn one_bit_of_any_pcr_in_the_policy_decides() {
    let document = document();
    let evidence = evidence(&document);
    let broker = broker(&document).await;
    let conditions = |flipped: Option<u8>| {
        let mut pcrs = Map::new();
        for (index, pcr) in evidence.pcrs().iter() {
            let mut value = pcr.0;
            if flipped == Some(index) {
                // A bit in another place for every register.
                value[usize::from(index) * 3 % 48] ^= 1 << (index % 8);
            }
            pcrs.insert(format!("kms:RecipientAttestation:PCR{index}"), json!(hex::encode(value)));
        }
        policy(&json!({"StringEquals": pcrs}))
    };
    let key = broker.create_key(&conditions(None)).await;
    let mut client = broker.connect().await;
    client.call("GenerateDataKey", &request(&key, &document)).await.members();

    let indices: Vec<u8> = evidence.pcrs().iter().map(|(index, _)| index).collect();
    assert_eq!(indices.len(), 16);
    for index in indices {
        broker.set_policy(&key, &conditions(Some(index))).await;
        let answer = client.call("GenerateDataKey", &request(&key, &document)).await;
        let expected = format!(
            "400 AccessDeniedException: User: anonymous is not authorized to perform: kms:GenerateDataKey on \
             resource: {} because no resource-based policy allows the kms:GenerateDataKey action",
            key.arn
        );
        assert_eq!(answer.refusal(), expected, "PCR{index}");
        let reasons = &broker.audit_record(answer.request_id())["additionalEventData"]["decision"]["reasons"];
        assert!(reasons[0].as_str().unwrap().contains(&format!("PCR{index}")), "{reasons}");
    }
}

#[tokio::test]
async fn the_real_document_fits_its_own_time_alone() {
    let document = document();
    let made = document.timestamp.unwrap();
    let broker = broker(&document).await;
    let key = broker.create_key(&policy_on_pcr0(&evidence(&document).pcrs().get(0).unwrap().to_hex())).await;
    let mut client = broker.connect().await;
    let step_at = async |now_ms: u64, client: &mut broker::client::Client| {
        broker.set_clock(UnixTime::from_ms(now_ms));
        let answer = client.call("GenerateDataKey", &request(&key, &document)).await;
        if answer.status == 200 {
            return "allowed".to_owned();
        }
        assert!(
            answer.refusal().starts_with("400 ValidationException: Recipient.AttestationDocument fails at")
        );
        let decision = &broker.audit_record(answer.request_id())["additionalEventData"]["decision"];
        format!("{} {}", decision["failedStep"].as_str().unwrap(), decision["failedCheck"].as_str().unwrap())
    };
    assert_eq!(step_at(made.as_ms(), &mut client).await, "allowed");
    assert_eq!(step_at(made.as_ms() + 300_000, &mut client).await, "allowed");
    assert_eq!(step_at(made.as_ms() + 300_001, &mut client).await, "freshness stale");
    // Its leaf was made with it, so a clock that is behind meets that first.
    assert_eq!(step_at(made.as_ms() - 30_000, &mut client).await, "path path_not_yet_valid");
    // The path is in the memo from the requests before; its end is noticed all the same.
    assert_eq!(step_at(made.as_ms() + 4 * 3_600_000, &mut client).await, "path path_expired");
    assert_eq!(step_at(UnixTime::now().as_ms(), &mut client).await, "path path_expired");
}
