//! GenerateRandom: random bytes for an attested enclave, from no key and under no policy.

use std::collections::HashSet;

use serde_json::json;

use super::{Stage, changed, names};

#[tokio::test]
async fn random_bytes_reach_the_enclave_alone() {
    let mut stage = Stage::set().await;
    let mut seen = HashSet::new();
    for length in [1, 24, 1024] {
        let members = json!({"NumberOfBytes": length, "Recipient": stage.recipient()});
        let answer = stage.client.call("GenerateRandom", &members).await;
        let members = answer.members();
        assert_eq!(names(&members), ["CiphertextForRecipient"]);
        let random = stage.enclave.open(&members);
        assert_eq!(random.len(), length);
        assert!(seen.insert(random));
        let record = stage.broker.audit_record(answer.request_id());
        assert_eq!(record["requestParameters"]["numberOfBytes"], length);
        assert_eq!(record["resources"], json!([]));
        assert!(record["additionalEventData"]["recipient"].is_object());
    }
}

#[tokio::test]
async fn nothing_is_given_without_genuine_evidence() {
    let mut stage = Stage::set().await;
    let mut document = stage.enclave.document(stage.broker.now());
    let middle = document.len() / 2;
    document[middle] ^= 1;
    let ask = json!({"NumberOfBytes": 32, "Recipient": stage.recipient()});
    for (changes, expected) in [
        (
            json!({"Recipient": null}),
            "ValidationException: GenerateRandom without Recipient would return plaintext, which this broker never does",
        ),
        (
            json!({"Recipient": crate::broker::enclave::recipient(&document)}),
            "ValidationException: Recipient.AttestationDocument fails at the step ",
        ),
        (
            json!({"NumberOfBytes": null}),
            "ValidationException: 1 validation error detected: Value 'null' at 'NumberOfBytes' failed",
        ),
        (
            json!({"NumberOfBytes": 1025}),
            "ValidationException: 1 validation error detected: Value '1025' at 'NumberOfBytes' failed",
        ),
        (
            json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}),
            "UnsupportedOperationException: this broker has no custom key stores",
        ),
    ] {
        let refusal =
            stage.client.call("GenerateRandom", &changed(ask.clone(), changes.clone())).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{changes}: {refusal}");
    }
}
