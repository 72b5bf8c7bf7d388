//! Evidence that is genuine but unfit, and what a policy asks of it.

use std::sync::Arc;
use std::time::Duration;

use enclave_sample::nsm::AttestationRequest;
use enclave_sample::nsm::simulated::SimulatedEnclave;
use nitro_key_broker::attestation::{Requirements, TrustAnchors};
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};

use super::Stage;
use crate::broker::enclave::{Enclave, recipient};
use crate::broker::{Setup, TestBroker, open_policy, policy, policy_on_pcr0};

/// Where attestation refused, of the answer's audit record.
async fn refused_step(stage: &mut Stage, changes: Value) -> (String, String) {
    let answer = stage.generate(changes).await;
    let refusal = answer.refusal();
    let record = stage.broker.audit_record(answer.request_id());
    let decision = &record["additionalEventData"]["decision"];
    let step = decision["failedStep"].as_str().unwrap().to_owned();
    let begin = format!("400 ValidationException: Recipient.AttestationDocument fails at the step {step}: ");
    assert!(refusal.starts_with(&begin), "{refusal}");
    assert_eq!(decision["outcome"], "denied");
    (step, decision["failedCheck"].as_str().unwrap().to_owned())
}

fn step(step: &str, check: &str) -> (String, String) {
    (step.to_owned(), check.to_owned())
}

#[tokio::test]
async fn only_the_measured_image_receives_the_key() {
    let mut stage = Stage::set().await;
    stage.broker.set_policy(&stage.key, &policy_on_pcr0(&stage.enclave.pcr(0))).await;
    let (blob, _) = stage.sealed(json!({})).await;
    stage.enclave = Enclave::measuring(SimulatedEnclave::default().with_pcr(0, [0xab; 48]));
    let denied = |action: &str| {
        format!(
            "400 AccessDeniedException: User: anonymous is not authorized to perform: kms:{action} on resource: \
             {} because no resource-based policy allows the kms:{action} action",
            stage.key.arn
        )
    };
    let (generate, decrypt, without) =
        (denied("GenerateDataKey"), denied("Decrypt"), denied("GenerateDataKeyWithoutPlaintext"));
    assert_eq!(stage.generate(json!({})).await.refusal(), generate);
    assert_eq!(stage.decrypt(&blob, json!({})).await.refusal(), decrypt);
    // There is no document to hold against the condition.
    assert_eq!(stage.generate_without_plaintext(json!({})).await.refusal(), without);
}

#[tokio::test]
async fn an_explicit_deny_wins_and_says_so() {
    let mut stage = Stage::set().await;
    let mut denying = open_policy();
    denying["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {"StringNotEquals": {"kms:RecipientAttestation:PCR0": "ab".repeat(48)}},
    }));
    let (blob, _) = stage.sealed(json!({})).await;
    stage.broker.set_policy(&stage.key, &denying).await;
    assert_eq!(
        stage.decrypt(&blob, json!({})).await.refusal(),
        format!(
            "400 AccessDeniedException: User: anonymous is not authorized to perform: kms:Decrypt on resource: {} \
             with an explicit deny in a resource-based policy",
            stage.key.arn
        )
    );
    stage.generate(json!({})).await.members();
}

#[tokio::test]
async fn a_policy_can_ask_for_the_encryption_context() {
    let mut stage = Stage::set().await;
    let tenant_a = policy(&json!({"StringEquals": {"kms:EncryptionContext:tenant": "a"}}));
    stage.broker.set_policy(&stage.key, &tenant_a).await;
    stage.generate(json!({"EncryptionContext": {"tenant": "a", "more": "x"}})).await.members();
    for context in [json!({}), json!({"tenant": "b"}), json!({"other": "a"})] {
        let refusal = stage.generate(json!({"EncryptionContext": context})).await.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    }
}

#[tokio::test]
async fn freshness_is_judged_by_the_brokers_clock() {
    let mut stage = Stage::set().await;
    let now = stage.broker.now();
    let made_at = |offset_ms: i64| {
        let moment = UnixTime::from_ms(now.as_ms().checked_add_signed(offset_ms).unwrap());
        // A leaf of its own, so that only the document's time is in question.
        json!({"Recipient": Enclave::new().recipient(moment)})
    };
    stage.generate(made_at(0)).await.members();
    stage.generate(made_at(-300_000)).await.members();
    assert_eq!(refused_step(&mut stage, made_at(-300_001)).await, step("freshness", "stale"));
    assert_eq!(refused_step(&mut stage, made_at(-3_600_000)).await, step("freshness", "stale"));
    let ahead = refused_step(&mut stage, made_at(3_600_000)).await;
    assert!(matches!(ahead.0.as_str(), "freshness" | "path"), "{ahead:?}");
}

#[tokio::test]
async fn a_debug_enclave_is_refused_unless_configured() {
    let mut stage = Stage::set().await;
    stage.enclave = Enclave::measuring(SimulatedEnclave::default().in_debug_mode());
    assert_eq!(refused_step(&mut stage, json!({})).await, step("debug_mode", "debug_mode"));

    let requirements = Requirements { allow_debug: true, ..Requirements::default() };
    stage.broker = TestBroker::start_with(Setup { requirements, ..Setup::default() }).await;
    stage.key = stage.broker.create_key(&open_policy()).await;
    stage.client = stage.broker.connect().await;
    stage.generate(json!({})).await.members();
}

#[tokio::test]
async fn a_document_under_a_root_that_is_not_configured_is_refused() {
    let mut stage = Stage::set().await;
    let setup = Setup { trust_anchors: TrustAnchors::aws().unwrap(), ..Setup::default() };
    stage.broker = TestBroker::start_with(setup).await;
    stage.key = stage.broker.create_key(&open_policy()).await;
    stage.client = stage.broker.connect().await;
    assert_eq!(refused_step(&mut stage, json!({})).await, step("path", "path_untrusted_root"));
}

#[tokio::test]
async fn a_genuine_document_without_a_fit_key_receives_nothing() {
    let mut stage = Stage::set().await;
    let now = stage.broker.now();
    let enclave = Arc::new(Enclave::new());
    let with_key = |public_key: Option<&[u8]>| {
        let request = AttestationRequest { public_key, ..AttestationRequest::default() };
        json!({"Recipient": recipient(&enclave.attest(&request, now))})
    };
    let spki = enclave.key().spki_der().to_vec();
    let trailing = [&spki[..], &[0]].concat();
    let absent = refused_step(&mut stage, with_key(None)).await;
    assert_eq!(absent, step("recipient_key", "recipient_key_absent"));
    for key in [&b""[..], b"ssh-rsa AAAA", &spki[..spki.len() - 1], &trailing] {
        let refused = refused_step(&mut stage, with_key(Some(key))).await;
        assert_eq!(refused, step("recipient_key", "recipient_key_not_rsa"));
    }
}

#[tokio::test]
async fn one_bit_anywhere_in_a_document_is_refused() {
    let mut stage = Stage::set().await;
    let document = stage.enclave.document(stage.broker.now());
    stage.generate(json!({"Recipient": recipient(&document)})).await.members();
    // A stride that is prime to 8 meets every bit position and all parts of the document.
    for bit in (0..document.len() * 8).step_by(97) {
        let mut altered = document.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let answer = stage.generate(json!({"Recipient": recipient(&altered)})).await;
        let refusal = answer.refusal();
        assert!(refusal.starts_with("400 ValidationException: "), "bit {bit}: {refusal}");
    }
    stage.generate(json!({"Recipient": recipient(&document)})).await.members();
}

#[tokio::test]
async fn a_remembered_path_ends_when_its_leaf_does() {
    let mut stage = Stage::set().await;
    let requirements = Requirements { max_age: Duration::from_secs(86_400), ..Requirements::default() };
    stage.broker = TestBroker::start_with(Setup { requirements, ..Setup::default() }).await;
    stage.key = stage.broker.create_key(&open_policy()).await;
    stage.client = stage.broker.connect().await;
    let document = json!({"Recipient": stage.recipient()});
    stage.generate(document.clone()).await.members();
    stage.broker.set_clock(UnixTime::from_secs(stage.broker.now().as_secs() + 12 * 3600));
    assert_eq!(refused_step(&mut stage, document).await, step("path", "path_expired"));
}
