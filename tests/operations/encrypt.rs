//! Encrypt and ReEncrypt: what is sealed for a caller comes out in an enclave and nowhere else.

use serde_json::{Value, json};

use super::{Stage, changed, decode, encode, names};
use crate::broker::{policy, policy_on_pcr0};

impl Stage {
    async fn encrypt(&mut self, changes: Value) -> super::Answer {
        let members = json!({"KeyId": self.key.arn, "Plaintext": encode(b"attack at dawn")});
        self.client.call("Encrypt", &changed(members, changes)).await
    }
}

#[tokio::test]
async fn what_is_encrypted_is_opened_by_decrypt() {
    let mut stage = Stage::set().await;
    for length in [1, 14, 32, 1025, 4096] {
        let plaintext: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let encrypted = stage.encrypt(json!({"Plaintext": encode(&plaintext)})).await.members();
        assert_eq!(names(&encrypted), ["CiphertextBlob", "EncryptionAlgorithm", "KeyId"]);
        assert_eq!(encrypted["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        assert_eq!(encrypted["KeyId"], stage.key.arn);
        let decrypted = stage.decrypt(&encrypted["CiphertextBlob"], json!({})).await.members();
        assert_eq!(stage.enclave.open(&decrypted), plaintext);
    }
}

#[tokio::test]
async fn encrypt_checks_its_members() {
    let mut stage = Stage::set().await;
    for (changes, expected) in [
        (
            json!({"Plaintext": null}),
            "400 ValidationException: 1 validation error detected: Value 'null' at 'Plaintext' failed to satisfy \
             constraint: Member must not be null",
        ),
        (
            json!({"Plaintext": ""}),
            "400 ValidationException: 1 validation error detected: Value at 'Plaintext' failed to satisfy \
             constraint: Member must have length greater than or equal to 1",
        ),
        (
            json!({"Plaintext": encode(&[0; 4097])}),
            "400 ValidationException: 1 validation error detected: Value at 'Plaintext' failed to satisfy \
             constraint: Member must have length less than or equal to 4096",
        ),
        (
            json!({"Plaintext": "attack at dawn"}),
            "400 SerializationException: Plaintext must be base64 (RFC 4648 section 4), found text that is not",
        ),
        (
            json!({"GrantTokens": ["token"]}),
            "400 InvalidGrantTokenException: the grant token at GrantTokens[0] was not issued by this broker, or its grant was retired or revoked",
        ),
        (
            json!({"DryRun": true}),
            "400 DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
        ),
    ] {
        assert_eq!(stage.encrypt(changes.clone()).await.refusal(), expected, "{changes}");
    }
    let refusal = stage.encrypt(json!({"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})).await.refusal();
    assert_eq!(
        refusal,
        "400 InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT."
    );
}

#[tokio::test]
async fn the_context_is_bound_to_what_is_encrypted() {
    let mut stage = Stage::set().await;
    let encrypted = stage.encrypt(json!({"EncryptionContext": {"a": "1"}})).await.members();
    let blob = &encrypted["CiphertextBlob"];
    let refusal = stage.decrypt(blob, json!({})).await.refusal();
    assert!(refusal.starts_with("400 InvalidCiphertextException: "), "{refusal}");
    let decrypted = stage.decrypt(blob, json!({"EncryptionContext": {"a": "1"}})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), b"attack at dawn");
}

/// Beyond KMS: a policy may want an enclave also where the answer is for anybody.
#[tokio::test]
async fn a_policy_can_demand_an_enclave_for_what_returns_no_plaintext() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let from_the_enclave = policy_on_pcr0(&stage.enclave.pcr(0));
    stage.broker.set_policy(&stage.key, &from_the_enclave).await;
    let arn = json!(stage.key.arn);
    let calls = [
        ("Encrypt", json!({"KeyId": arn, "Plaintext": "AAAA"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": arn, "KeySpec": "AES_256"})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": arn})),
    ];
    for (operation, members) in calls {
        let refusal = stage.client.call(operation, &members).await.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{operation}: {refusal}");
        let attested = changed(members.clone(), json!({"Recipient": stage.recipient()}));
        let answer = stage.client.call(operation, &attested).await;
        answer.members();
        let record = stage.broker.audit_record(answer.request_id());
        let recipient = &record["additionalEventData"]["recipient"];
        assert_eq!(recipient["attestationDocumentEnclaveImageDigest"], stage.enclave.pcr(0), "{operation}");

        // Evidence that is sent is checked, whatever the policy asks for.
        let mut document = stage.enclave.document(stage.broker.now());
        *document.last_mut().unwrap() ^= 1;
        let forged = changed(members, json!({"Recipient": crate::broker::enclave::recipient(&document)}));
        let refusal = stage.client.call(operation, &forged).await.refusal();
        assert!(refusal.contains("fails at the step signature"), "{operation}: {refusal}");
    }
}

#[tokio::test]
async fn re_encrypt_moves_a_ciphertext_to_another_key_and_context() {
    let mut stage = Stage::set().await;
    let (blob, data_key) = stage.sealed(json!({"v": "1"})).await;
    let other = stage.broker.create_key(&policy(&json!({}))).await;
    let members = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": {"v": "1"},
        "DestinationKeyId": other.arn, "DestinationEncryptionContext": {"v": "2"},
    });
    let answer = stage.client.call("ReEncrypt", &members).await;
    let moved = answer.members();
    assert_eq!(
        names(&moved),
        [
            "CiphertextBlob",
            "DestinationEncryptionAlgorithm",
            "DestinationKeyMaterialId",
            "KeyId",
            "SourceEncryptionAlgorithm",
            "SourceKeyId",
            "SourceKeyMaterialId",
        ]
    );
    assert_eq!((&moved["SourceKeyId"], &moved["KeyId"]), (&json!(stage.key.arn), &json!(other.arn)));
    assert_eq!(moved["SourceKeyMaterialId"], hex::encode(stage.key.material_id));
    assert_eq!(moved["DestinationKeyMaterialId"], hex::encode(other.material_id));
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!(record["resources"][0]["ARN"], stage.key.arn);
    assert_eq!(record["resources"][1]["ARN"], other.arn);
    assert_eq!(record["requestParameters"]["destinationEncryptionContext"], json!({"v": "2"}));
    for explanation in ["sourceStatement", "statement"] {
        assert!(record["additionalEventData"]["decision"][explanation].is_string(), "{record}");
    }

    let decrypted = stage.decrypt(&moved["CiphertextBlob"], json!({"EncryptionContext": {"v": "2"}})).await;
    let decrypted = decrypted.members();
    assert_eq!(decrypted["KeyId"], other.arn);
    assert_eq!(stage.enclave.open(&decrypted), data_key);
    let refusal = stage.decrypt(&moved["CiphertextBlob"], json!({"EncryptionContext": {"v": "1"}})).await;
    assert!(refusal.refusal().starts_with("400 InvalidCiphertextException: "));
}

#[tokio::test]
async fn re_encrypt_needs_both_keys_to_agree() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let only = |action: &str| {
        let mut only = policy(&json!({}));
        only["Statement"][0]["Action"] = json!(action);
        only
    };
    let other = stage.broker.create_key(&only("kms:ReEncryptTo")).await;
    let move_to_other = json!({"CiphertextBlob": blob, "DestinationKeyId": other.arn});
    stage.broker.set_policy(&stage.key, &only("kms:ReEncryptFrom")).await;
    stage.client.call("ReEncrypt", &move_to_other).await.members();
    assert_eq!(
        stage
            .client
            .call("ReEncrypt", &changed(move_to_other.clone(), json!({"DryRun": true})))
            .await
            .refusal(),
        "400 DryRunOperationException: The request would have succeeded, but the DryRun option is set."
    );

    for (source, destination, refused_action) in [
        ("kms:ReEncryptTo", "kms:ReEncryptTo", "kms:ReEncryptFrom"),
        ("kms:ReEncryptFrom", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
        ("kms:Decrypt", "kms:ReEncryptTo", "kms:ReEncryptFrom"),
    ] {
        stage.broker.set_policy(&stage.key, &only(source)).await;
        stage.broker.set_policy(&other, &only(destination)).await;
        let refusal = stage.client.call("ReEncrypt", &move_to_other).await.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
        assert!(refusal.contains(refused_action), "{refusal}");
    }
}

#[tokio::test]
async fn re_encrypt_refuses_what_is_not_the_source_keys() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({"a": "1"})).await;
    let other = stage.broker.create_key(&policy(&json!({}))).await;
    let ask = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": {"a": "1"}, "DestinationKeyId": other.arn,
    });
    let mut altered = decode(&blob);
    *altered.last_mut().unwrap() ^= 1;
    for (changes, expected) in [
        (json!({"SourceEncryptionContext": null}), "InvalidCiphertextException"),
        (json!({"CiphertextBlob": encode(&altered)}), "InvalidCiphertextException"),
        (json!({"CiphertextBlob": encode(b"none")}), "InvalidCiphertextException"),
        (json!({"SourceKeyId": other.arn}), "IncorrectKeyException"),
        (json!({"CiphertextBlob": null}), "ValidationException"),
        (json!({"DestinationKeyId": null}), "ValidationException"),
        (json!({"DestinationKeyId": "alias/none"}), "NotFoundException"),
        (json!({"DestinationEncryptionAlgorithm": "SM2PKE"}), "InvalidKeyUsageException"),
        (json!({"GrantTokens": ["t"]}), "InvalidGrantTokenException"),
        (json!({"DryRunModifiers": ["IGNORE_CIPHERTEXT"]}), "ValidationException"),
        (
            json!({"DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"], "CiphertextBlob": null}),
            "ValidationException",
        ),
        (
            json!({
                "DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"], "CiphertextBlob": null,
                "SourceKeyId": stage.key.arn,
            }),
            "DryRunOperationException",
        ),
    ] {
        let refusal = stage.client.call("ReEncrypt", &changed(ask.clone(), changes.clone())).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}: ")), "{changes}: {refusal}");
    }
}
