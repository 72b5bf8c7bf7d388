//! What is released, and that it comes back.

use std::process::Command;

use enclave_sample::recipient::{RecipientKey, RecipientKeySize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Stage, decode, encode, names};
use crate::broker::enclave::{Enclave, Envelope};

const WITHOUT_RECIPIENT: &str = "without Recipient would return plaintext, which this broker never does: pass \
                                 Recipient with the attestation document of the enclave that is to receive the key";

#[tokio::test]
async fn a_data_key_comes_back_by_decrypt_in_every_size() {
    let mut stage = Stage::set().await;
    for (size, expected) in [
        (json!({"KeySpec": "AES_256"}), 32),
        (json!({"KeySpec": "AES_128"}), 16),
        (json!({"KeySpec": null, "NumberOfBytes": 1}), 1),
        (json!({"KeySpec": null, "NumberOfBytes": 16}), 16),
        (json!({"KeySpec": null, "NumberOfBytes": 999}), 999),
        (json!({"KeySpec": null, "NumberOfBytes": 1024}), 1024),
    ] {
        let generated = stage.generate(size.clone()).await.members();
        assert_eq!(names(&generated), ["CiphertextBlob", "CiphertextForRecipient", "KeyId"], "{size}");
        assert_eq!(generated["KeyId"], stage.key.arn);
        let data_key = stage.enclave.open(&generated);
        assert_eq!(data_key.len(), expected, "{size}");

        let decrypted = stage.decrypt(&generated["CiphertextBlob"], json!({})).await.members();
        assert_eq!(names(&decrypted), ["CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"], "{size}");
        assert_eq!(decrypted["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        assert_eq!(decrypted["KeyId"], stage.key.arn);
        assert_eq!(stage.enclave.open(&decrypted), data_key, "{size}");
    }
}

#[tokio::test]
async fn a_key_made_without_plaintext_is_first_seen_by_decrypt() {
    let mut stage = Stage::set().await;
    let generated = stage.generate_without_plaintext(json!({})).await.members();
    assert_eq!(names(&generated), ["CiphertextBlob", "KeyId", "KeyMaterialId"]);
    assert_eq!(generated["KeyMaterialId"], hex::encode(stage.key.material_id));
    let decrypted = stage.decrypt(&generated["CiphertextBlob"], json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted).len(), 32);
}

#[tokio::test]
async fn no_two_answers_share_a_key_a_blob_or_an_envelope() {
    let mut stage = Stage::set().await;
    let (mut keys, mut blobs, mut encrypted_keys, mut ivs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..8 {
        let members = stage.generate(json!({})).await.members();
        keys.push(stage.enclave.open(&members));
        blobs.push(decode(&members["CiphertextBlob"]));
        let envelope = decode(&members["CiphertextForRecipient"]);
        let envelope = Envelope::dissect(&envelope);
        encrypted_keys.push(envelope.encrypted_key.to_vec());
        ivs.push(envelope.iv.to_vec());
    }
    for values in [keys, blobs, encrypted_keys, ivs] {
        let distinct: std::collections::HashSet<&Vec<u8>> = values.iter().collect();
        assert_eq!(distinct.len(), values.len());
    }
}

#[tokio::test]
async fn the_envelope_is_the_one_of_kms_for_every_size_of_recipient_key() {
    let mut stage = Stage::set().await;
    for size in [RecipientKeySize::Rsa2048, RecipientKeySize::Rsa3072, RecipientKeySize::Rsa4096] {
        let key = RecipientKey::generate(size).unwrap();
        stage.enclave = Enclave::new().with_key(key);
        let members = stage.generate(json!({})).await.members();
        let envelope = decode(&members["CiphertextForRecipient"]);
        let spki_sha256 = Sha256::digest(stage.enclave.key().spki_der());
        assert!(envelope.windows(32).any(|window| window == spki_sha256.as_slice()));
        if size == RecipientKeySize::Rsa2048 {
            let dissected = Envelope::dissect(&envelope);
            assert_eq!(dissected.subject_key_identifier, spki_sha256.as_slice());
            assert_eq!(dissected.encrypted_content.len(), 48);
        }
        let plaintext = enclave_sample::cms::open_enveloped_data(&envelope, stage.enclave.key()).unwrap();
        assert_eq!(plaintext.len(), 32);
    }
}

#[tokio::test]
async fn openssl_opens_the_envelope() {
    let mut stage = Stage::set().await;
    let folder = tempfile::tempdir().unwrap();
    let (key, envelope) = (folder.path().join("key.der"), folder.path().join("envelope.ber"));
    std::fs::write(&key, stage.enclave.key().to_pkcs8_der().unwrap()).unwrap();
    // The longest data key: its ciphertext is split into two OCTET STRINGs.
    for length in [32, 1024] {
        let members = stage.generate(json!({"KeySpec": null, "NumberOfBytes": length})).await.members();
        std::fs::write(&envelope, decode(&members["CiphertextForRecipient"])).unwrap();
        let opened = Command::new("openssl")
            .args(["cms", "-decrypt", "-binary", "-inform", "DER", "-keyform", "DER", "-inkey"])
            .args([&key, std::path::Path::new("-in"), &envelope])
            .output()
            .unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(opened.stdout, stage.enclave.open(&members));
    }
}

#[tokio::test]
async fn without_a_recipient_nothing_is_released() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    assert_eq!(
        stage.generate(json!({"Recipient": null})).await.refusal(),
        format!(
            "400 ValidationException: GenerateDataKey {WITHOUT_RECIPIENT}, or use \
             GenerateDataKeyWithoutPlaintext"
        )
    );
    assert_eq!(
        stage.decrypt(&blob, json!({"Recipient": null})).await.refusal(),
        format!("400 ValidationException: Decrypt {WITHOUT_RECIPIENT}")
    );
    // JSON null is as good as absent.
    let members = json!({"KeyId": stage.key.arn, "KeySpec": "AES_256", "Recipient": null});
    let refusal = stage.client.call("GenerateDataKey", &members).await.refusal();
    assert!(refusal.contains(WITHOUT_RECIPIENT), "{refusal}");
}

#[tokio::test]
async fn older_material_opens_what_it_sealed_and_the_newest_seals() {
    let mut stage = Stage::set().await;
    let (old_blob, old_key) = stage.sealed(json!({})).await;
    let new_id: [u8; 32] = rand::random();
    let wrapped = stage.broker.wrap_material(stage.key.id, new_id, &rand::random::<[u8; 32]>()).await;
    let (key_id, new_id, wrapped) = (stage.key.id, hex::encode(new_id), hex::encode(wrapped));
    stage
        .broker
        .database()
        .await
        .execute(&format!("INSERT INTO key_materials (key_id, version, material_id, wrapped) VALUES ('{key_id}', 2, x'{new_id}', x'{wrapped}')"))
        .await;

    let members = stage.generate_without_plaintext(json!({})).await.members();
    assert_eq!(members["KeyMaterialId"], new_id);
    let decrypted = stage.decrypt(&old_blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), old_key);
    // Material that is gone opens nothing.
    stage.broker.database().await.execute("DELETE FROM key_materials WHERE version = 1").await;
    assert_eq!(
        stage.decrypt(&old_blob, json!({})).await.refusal(),
        "400 InvalidCiphertextException: the CiphertextBlob names a key or key material that this broker does not hold"
    );
    let decrypted = stage.decrypt(&members["CiphertextBlob"], json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted).len(), 32);
}

#[tokio::test]
async fn the_unix_socket_answers_like_tcp() {
    let mut stage = Stage::set().await;
    let (blob, data_key) = stage.sealed(json!({})).await;
    stage.client = stage.broker.connect_unix().await;
    let answer = stage.decrypt(&blob, json!({})).await;
    assert_eq!(stage.enclave.open(&answer.members()), data_key);
    let record = stage.broker.audit_record(answer.request_id());
    assert!(record["sourceIPAddress"].as_str().unwrap().starts_with("unix:"), "{record}");
}

#[tokio::test]
async fn no_answer_has_a_plaintext_member() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let answers = [
        stage.generate(json!({})).await,
        stage.generate(json!({"Recipient": null})).await,
        stage.generate_without_plaintext(json!({})).await,
        stage.generate_without_plaintext(json!({"Recipient": {"no": "recipient"}})).await,
        stage.decrypt(&blob, json!({})).await,
        stage.decrypt(&blob, json!({"Recipient": null})).await,
        stage.decrypt(&encode(b"no blob"), json!({})).await,
    ];
    for answer in answers {
        let members: Value = answer.json();
        assert!(!names(&members).contains(&"Plaintext"), "{members}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("Plaintext\":"), "{members}");
    }
}
