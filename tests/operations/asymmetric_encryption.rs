//! Encrypt, Decrypt and ReEncrypt with RSA keys: OpenSSL opens what the broker encrypts, the enclave gets what OpenSSL
//! encrypts.

use serde_json::{Value, json};

use super::{Stage, changed, decode, encode, names, openssl};
use crate::broker::{KindredKey, open_policy};

/// Each algorithm, the name of its digest in OpenSSL, and what its padding takes of the modulus.
const ALGORITHMS: [(&str, &str, usize); 2] =
    [("RSAES_OAEP_SHA_1", "sha1", 42), ("RSAES_OAEP_SHA_256", "sha256", 66)];

const SPECS: [(&str, usize); 3] = [("RSA_2048", 256), ("RSA_3072", 384), ("RSA_4096", 512)];

impl Stage {
    async fn rsa_key(&self, spec: &'static str) -> KindredKey {
        self.broker.create_key_of(spec, "ENCRYPT_DECRYPT", &open_policy()).await
    }

    async fn encrypt_to(&mut self, key: &KindredKey, algorithm: &str, plaintext: &[u8]) -> super::Answer {
        let members =
            json!({"KeyId": key.arn, "EncryptionAlgorithm": algorithm, "Plaintext": encode(plaintext)});
        self.client.call("Encrypt", &members).await
    }

    async fn decrypt_with(
        &mut self,
        key: &KindredKey,
        algorithm: &str,
        ciphertext: &[u8],
        changes: Value,
    ) -> super::Answer {
        let members = json!({
            "KeyId": key.arn, "EncryptionAlgorithm": algorithm, "CiphertextBlob": encode(ciphertext),
            "Recipient": self.recipient(),
        });
        self.client.call("Decrypt", &changed(members, changes)).await
    }
}

fn oaep<'a>(command: &[&'a str], options: &'a [String; 2]) -> Vec<&'a str> {
    let [digest, mgf1] = options;
    let padding =
        ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", digest, "-pkeyopt", mgf1, "-in", "{input}"];
    [&["pkeyutl", "-keyform", "DER", "-inkey", "{key}"], command, &padding].concat()
}

fn options(digest: &str) -> [String; 2] {
    [format!("rsa_oaep_md:{digest}"), format!("rsa_mgf1_md:{digest}")]
}

#[tokio::test]
async fn every_rsa_key_and_algorithm_agrees_with_openssl() {
    let mut stage = Stage::set().await;
    for (spec, modulus_len) in SPECS {
        let key = stage.rsa_key(spec).await;
        for (algorithm, digest, padding) in ALGORITHMS {
            let options = options(digest);
            for length in [1, 32, modulus_len - padding] {
                let plaintext: Vec<u8> = (0..length).map(|at| at as u8).collect();
                let encrypted = stage.encrypt_to(&key, algorithm, &plaintext).await.members();
                assert_eq!(names(&encrypted), ["CiphertextBlob", "EncryptionAlgorithm", "KeyId"]);
                assert_eq!(encrypted["EncryptionAlgorithm"], algorithm);
                let ciphertext = decode(&encrypted["CiphertextBlob"]);
                assert_eq!(ciphertext.len(), modulus_len);
                let files = [("key", &key.material[..]), ("input", &ciphertext)];
                assert_eq!(openssl::output(&files, &oaep(&["-decrypt"], &options)), plaintext);

                let files = [("key", &key.public_key[..]), ("input", &plaintext)];
                let theirs = openssl::output(&files, &oaep(&["-encrypt", "-pubin"], &options));
                for ciphertext in [ciphertext, theirs] {
                    let answer = stage.decrypt_with(&key, algorithm, &ciphertext, json!({})).await.members();
                    assert_eq!(names(&answer), ["CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"]);
                    assert_eq!(
                        (&answer["EncryptionAlgorithm"], &answer["KeyId"]),
                        (&json!(algorithm), &json!(key.arn))
                    );
                    assert_eq!(stage.enclave.open(&answer), plaintext);
                }
            }
            let longest = modulus_len - padding;
            let expected = format!(
                "400 ValidationException: Algorithm {algorithm} and key spec {spec} cannot encrypt data longer than \
                 {longest} bytes."
            );
            for length in [longest + 1, 4096] {
                let too_long = stage.encrypt_to(&key, algorithm, &vec![7; length]).await;
                assert_eq!(too_long.refusal(), expected);
            }
        }
    }
}

#[tokio::test]
async fn what_was_altered_or_is_anothers_does_not_open() {
    let mut stage = Stage::set().await;
    let (key, other) = (stage.rsa_key("RSA_2048").await, stage.rsa_key("RSA_2048").await);
    let encrypted = stage.encrypt_to(&key, "RSAES_OAEP_SHA_256", b"attack at dawn").await.members();
    let good = decode(&encrypted["CiphertextBlob"]);
    let mut altered = good.clone();
    altered[128] ^= 1;
    let blob = decode(&stage.sealed(json!({})).await.0);
    let invalid = "400 InvalidCiphertextException: the ciphertext does not open: it was altered, or made for another key \
                   or with another algorithm";
    for (key, algorithm, ciphertext) in [
        (&key, "RSAES_OAEP_SHA_256", &altered),
        (&key, "RSAES_OAEP_SHA_1", &good),
        (&other, "RSAES_OAEP_SHA_256", &good),
        (&key, "RSAES_OAEP_SHA_256", &good[..255].to_vec()),
        (&key, "RSAES_OAEP_SHA_256", &[&good[..], &[0]].concat()),
        (&key, "RSAES_OAEP_SHA_256", &vec![0xff; 256]),
        (&key, "RSAES_OAEP_SHA_256", &blob),
        (&key, "RSAES_OAEP_SHA_256", &b"x".to_vec()),
    ] {
        let refusal = stage.decrypt_with(key, algorithm, ciphertext, json!({})).await.refusal();
        assert_eq!(refusal, invalid);
    }
}

#[tokio::test]
async fn decrypt_needs_the_key_the_algorithm_and_an_enclave() {
    let mut stage = Stage::set().await;
    let key = stage.rsa_key("RSA_2048").await;
    let algorithm = "RSAES_OAEP_SHA_256";
    let encrypted = stage.encrypt_to(&key, algorithm, b"attack at dawn").await.members();
    let ciphertext = decode(&encrypted["CiphertextBlob"]);
    let dry_run = json!({"DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"], "CiphertextBlob": null});
    let symmetric =
        "400 InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.";
    for (changes, expected) in [
        (
            json!({"KeyId": null}),
            "400 ValidationException: 1 validation error detected: Value 'null' at 'KeyId' failed to satisfy constraint: \
             Member must not be null",
        ),
        (json!({"EncryptionAlgorithm": null}), symmetric),
        (
            json!({"Recipient": null}),
            "400 ValidationException: Decrypt without Recipient would return plaintext",
        ),
        (
            json!({"EncryptionContext": {"a": "1"}}),
            "400 ValidationException: EncryptionContext is not supported when encrypting or decrypting with an \
             asymmetric KMS key.",
        ),
        (
            json!({"EncryptionAlgorithm": "SM2PKE"}),
            "400 InvalidKeyUsageException: Algorithm SM2PKE is incompatible with key spec RSA_2048.",
        ),
        (json!({"DryRun": true}), "400 DryRunOperationException: "),
        (dry_run, "400 DryRunOperationException: "),
    ] {
        let refusal = stage.decrypt_with(&key, algorithm, &ciphertext, changes.clone()).await.refusal();
        assert!(refusal.starts_with(expected), "{changes}: {refusal}");
    }
}

#[tokio::test]
async fn encrypt_refuses_what_does_not_go_together() {
    let mut stage = Stage::set().await;
    let key = stage.rsa_key("RSA_2048").await;
    let signing = stage.broker.create_key_of("RSA_2048", "SIGN_VERIFY", &open_policy()).await;
    let usage = format!(
        "400 InvalidKeyUsageException: {} key usage is SIGN_VERIFY which is not valid for Encrypt.",
        signing.arn
    );
    let members = json!({"KeyId": key.arn, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256", "Plaintext": "AAAA"});
    for (changes, expected) in [
        (json!({"KeyId": signing.arn}), usage.as_str()),
        (
            json!({"EncryptionAlgorithm": null}),
            "400 InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
        ),
        (
            json!({"EncryptionContext": {"a": "1"}}),
            "400 ValidationException: EncryptionContext is not supported when encrypting or decrypting with an \
             asymmetric KMS key.",
        ),
        (
            json!({"DryRun": true}),
            "400 DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
        ),
        (
            json!({"DryRun": true, "Plaintext": encode(&[7; 191])}),
            "400 ValidationException: Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data longer than \
             190 bytes.",
        ),
    ] {
        let refusal =
            stage.client.call("Encrypt", &changed(members.clone(), changes.clone())).await.refusal();
        assert_eq!(refusal, expected, "{changes}");
    }
}

#[tokio::test]
async fn re_encrypt_moves_between_kinds_of_keys() {
    let mut stage = Stage::set().await;
    let (first, second) = (stage.rsa_key("RSA_2048").await, stage.rsa_key("RSA_3072").await);
    let (blob, data_key) = stage.sealed(json!({"v": "1"})).await;

    let to_rsa = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": {"v": "1"},
        "DestinationKeyId": first.arn, "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    });
    let moved = stage.client.call("ReEncrypt", &to_rsa).await.members();
    let expected = [
        "CiphertextBlob",
        "DestinationEncryptionAlgorithm",
        "KeyId",
        "SourceEncryptionAlgorithm",
        "SourceKeyId",
        "SourceKeyMaterialId",
    ];
    assert_eq!(names(&moved), expected);
    let ciphertext = decode(&moved["CiphertextBlob"]);
    let opened = stage.decrypt_with(&first, "RSAES_OAEP_SHA_256", &ciphertext, json!({})).await.members();
    assert_eq!(stage.enclave.open(&opened), data_key);

    let between = json!({
        "CiphertextBlob": moved["CiphertextBlob"], "SourceKeyId": first.arn,
        "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "DestinationKeyId": second.arn,
        "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1",
    });
    let moved = stage.client.call("ReEncrypt", &between).await.members();
    assert_eq!(moved["SourceEncryptionAlgorithm"], "RSAES_OAEP_SHA_256");
    assert_eq!(moved["DestinationEncryptionAlgorithm"], "RSAES_OAEP_SHA_1");

    let back = json!({
        "CiphertextBlob": moved["CiphertextBlob"], "SourceKeyId": second.arn,
        "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "DestinationKeyId": stage.key.arn,
        "DestinationEncryptionContext": {"v": "2"},
    });
    let sealed = stage.client.call("ReEncrypt", &back).await.members();
    assert_eq!(sealed.get("SourceKeyMaterialId"), None);
    assert_eq!(sealed["DestinationKeyMaterialId"], hex::encode(stage.key.material_id));
    let answer = stage.decrypt(&sealed["CiphertextBlob"], json!({"EncryptionContext": {"v": "2"}})).await;
    assert_eq!(stage.enclave.open(&answer.members()), data_key);

    // What is inside must fit into the destination, too.
    let long = json!({"KeyId": stage.key.arn, "Plaintext": encode(&[7; 300])});
    let long = stage.client.call("Encrypt", &long).await.members();
    for dry_run in [false, true] {
        let refusal = stage
            .client
            .call(
                "ReEncrypt",
                &json!({
                    "CiphertextBlob": long["CiphertextBlob"], "DestinationKeyId": first.arn,
                    "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "DryRun": dry_run,
                }),
            )
            .await
            .refusal();
        assert_eq!(
            refusal,
            "400 ValidationException: Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data longer than \
             214 bytes."
        );
    }
    for (changes, expected) in [
        (json!({"SourceKeyId": null}), "ValidationException"),
        (json!({"SourceEncryptionContext": {"a": "1"}}), "ValidationException"),
        (json!({"DestinationEncryptionContext": {"a": "1"}}), "ValidationException"),
        (json!({"SourceEncryptionAlgorithm": null}), "InvalidKeyUsageException"),
        (json!({"DestinationEncryptionAlgorithm": null}), "InvalidKeyUsageException"),
        (json!({"SourceKeyId": second.arn}), "InvalidCiphertextException"),
        (json!({"DryRun": true}), "DryRunOperationException"),
    ] {
        let refusal =
            stage.client.call("ReEncrypt", &changed(between.clone(), changes.clone())).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}: ")), "{changes}: {refusal}");
    }
}
