//! Encapsulate and Decapsulate, which need ML-KEM keys: there are none.

use serde_json::json;

use super::{Stage, changed, encode};

#[tokio::test]
async fn both_are_refused_once_they_are_well_formed() {
    let mut stage = Stage::set().await;
    let members = json!({
        "KeyId": stage.key.arn, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": encode(&[7; 768]),
    });
    for operation in ["Encapsulate", "Decapsulate"] {
        assert_eq!(
            stage.client.call(operation, &members).await.refusal(),
            "400 UnsupportedOperationException: this broker has no ML-KEM keys"
        );
        for (changes, member) in [
            (json!({"KeyId": null}), "'KeyId'"),
            (json!({"EncapsulationAlgorithm": null}), "'EncapsulationAlgorithm'"),
            (json!({"EncapsulationAlgorithm": "RSA"}), "'EncapsulationAlgorithm'"),
            (json!({"GrantTokens": vec!["t"; 11]}), "'GrantTokens'"),
        ] {
            let refusal = stage.client.call(operation, &changed(members.clone(), changes)).await.refusal();
            assert!(
                refusal.starts_with("400 ValidationException: ") && refusal.contains(member),
                "{refusal}"
            );
        }
    }
    let without = changed(members, json!({"SharedSecretCiphertextBlob": null}));
    let refusal = stage.client.call("Decapsulate", &without).await.refusal();
    assert!(refusal.contains("'SharedSecretCiphertextBlob'"), "{refusal}");
}
