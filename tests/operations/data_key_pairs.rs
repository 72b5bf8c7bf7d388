//! Data key pairs: the public key for everybody, the private key for the enclave.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Stage, changed, decode, names};
use crate::broker::policy;

const SPECS: [&str; 8] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
];

impl Stage {
    async fn pair(&mut self, changes: Value) -> super::Answer {
        let members =
            json!({"KeyId": self.key.arn, "KeyPairSpec": "ECC_NIST_P256", "Recipient": self.recipient()});
        self.client.call("GenerateDataKeyPair", &changed(members, changes)).await
    }
}

/// The public key that OpenSSL finds in a private one, both DER, and what OpenSSL calls it.
fn openssl_public_key(private_key: &[u8]) -> (Vec<u8>, String) {
    let run = |arguments: &[&str]| {
        let mut openssl = Command::new("openssl")
            .args(["pkey", "-inform", "DER"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(private_key).unwrap();
        let output = openssl.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    let text = String::from_utf8(run(&["-noout", "-text_pub"])).unwrap();
    (run(&["-pubout", "-outform", "DER"]), text)
}

#[tokio::test]
async fn every_pair_belongs_together_and_its_private_key_comes_back() {
    let mut stage = Stage::set().await;
    for (spec, mark) in SPECS.into_iter().zip([
        "(2048 bit)",
        "(3072 bit)",
        "(4096 bit)",
        "P-256",
        "P-384",
        "P-521",
        "secp256k1",
        "ED25519",
    ]) {
        let pair = stage.pair(json!({"KeyPairSpec": spec})).await.members();
        let expected =
            ["CiphertextForRecipient", "KeyId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"];
        assert_eq!(names(&pair), expected, "{spec}");
        assert_eq!((&pair["KeyPairSpec"], &pair["KeyId"]), (&json!(spec), &json!(stage.key.arn)));
        let private_key = stage.enclave.open(&pair);
        let (public_key, text) = openssl_public_key(&private_key);
        assert_eq!(public_key, decode(&pair["PublicKey"]), "{spec}");
        assert!(text.contains(mark), "{spec}: {text}");
        let decrypted = stage.decrypt(&pair["PrivateKeyCiphertextBlob"], json!({})).await.members();
        assert_eq!(stage.enclave.open(&decrypted), private_key, "{spec}");
    }
}

#[tokio::test]
async fn a_pair_made_without_plaintext_is_first_seen_by_decrypt() {
    let mut stage = Stage::set().await;
    let members = json!({
        "KeyId": stage.key.arn, "KeyPairSpec": "ECC_NIST_P384", "EncryptionContext": {"a": "1"},
    });
    let pair = stage.client.call("GenerateDataKeyPairWithoutPlaintext", &members).await.members();
    let expected = ["KeyId", "KeyMaterialId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"];
    assert_eq!(names(&pair), expected);
    assert_eq!(pair["KeyMaterialId"], hex::encode(stage.key.material_id));
    let context = json!({"EncryptionContext": {"a": "1"}});
    let decrypted = stage.decrypt(&pair["PrivateKeyCiphertextBlob"], context).await.members();
    let (public_key, _) = openssl_public_key(&stage.enclave.open(&decrypted));
    assert_eq!(public_key, decode(&pair["PublicKey"]));
    let refusal = stage.decrypt(&pair["PrivateKeyCiphertextBlob"], json!({})).await.refusal();
    assert!(refusal.starts_with("400 InvalidCiphertextException: "), "{refusal}");
}

#[tokio::test]
async fn what_is_no_pair_is_refused() {
    let mut stage = Stage::set().await;
    for (changes, expected) in [
        (
            json!({"Recipient": null}),
            "ValidationException: GenerateDataKeyPair without Recipient would return plaintext",
        ),
        (json!({"KeyPairSpec": null}), "ValidationException: 1 validation error detected: Value 'null' at"),
        (
            json!({"KeyPairSpec": "RSA_1024"}),
            "ValidationException: 1 validation error detected: Value 'RSA_1024'",
        ),
        (json!({"KeyPairSpec": "SM2"}), "UnsupportedOperationException: this broker makes no SM2"),
        (json!({"KeyPairSpec": "ML_KEM_768"}), "UnsupportedOperationException: this broker makes no SM2"),
        (json!({"GrantTokens": ["t"]}), "InvalidGrantTokenException: "),
        (json!({"DryRun": true}), "DryRunOperationException: "),
    ] {
        let refusal = stage.pair(changes.clone()).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{changes}: {refusal}");
    }
}

#[tokio::test]
async fn a_policy_can_ask_for_the_spec() {
    let mut stage = Stage::set().await;
    let condition = json!({"StringLike": {"kms:DataKeyPairSpec": "ECC_NIST_*"}});
    stage.broker.set_policy(&stage.key, &policy(&condition)).await;
    stage.pair(json!({"KeyPairSpec": "ECC_NIST_P521"})).await.members();
    for spec in ["RSA_2048", "ECC_SECG_P256K1"] {
        let refusal = stage.pair(json!({"KeyPairSpec": spec})).await.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    }
    // An operation that makes no pair has no spec to compare.
    assert!(stage.generate(json!({})).await.refusal().starts_with("400 AccessDeniedException: "));
}
