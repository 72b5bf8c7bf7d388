//! GetPublicKey, and what DescribeKey says of each kind of key.

use serde_json::{Value, json};

use super::{Stage, decode, names, openssl};
use crate::broker::{open_policy, policy_on_pcr0};

const RSA_SIGNING: [&str; 6] = [
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
];

/// Each spec and usage, and the algorithms that both operations name.
fn kinds() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let oaep = json!(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]);
    vec![
        ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", oaep.clone()),
        ("RSA_3072", "SIGN_VERIFY", "SigningAlgorithms", json!(RSA_SIGNING)),
        ("RSA_4096", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", oaep),
        ("ECC_NIST_P256", "SIGN_VERIFY", "SigningAlgorithms", json!(["ECDSA_SHA_256"])),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "KeyAgreementAlgorithms", json!(["ECDH"])),
        ("ECC_NIST_P384", "SIGN_VERIFY", "SigningAlgorithms", json!(["ECDSA_SHA_384"])),
        ("ECC_NIST_P384", "KEY_AGREEMENT", "KeyAgreementAlgorithms", json!(["ECDH"])),
        ("ECC_NIST_P521", "SIGN_VERIFY", "SigningAlgorithms", json!(["ECDSA_SHA_512"])),
        ("ECC_NIST_P521", "KEY_AGREEMENT", "KeyAgreementAlgorithms", json!(["ECDH"])),
        ("ECC_SECG_P256K1", "SIGN_VERIFY", "SigningAlgorithms", json!(["ECDSA_SHA_256"])),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "SigningAlgorithms", json!(["ED25519_SHA_512"])),
    ]
}

#[tokio::test]
async fn every_asymmetric_key_shows_its_public_half_and_what_it_does() {
    let mut stage = Stage::set().await;
    for (spec, usage, algorithms, expected) in kinds() {
        let key = stage.broker.create_key_of(spec, usage, &open_policy()).await;
        let answer = stage.client.call("GetPublicKey", &json!({"KeyId": key.arn})).await.members();
        let mut members =
            vec!["CustomerMasterKeySpec", "KeyId", "KeySpec", "KeyUsage", "PublicKey", algorithms];
        members.sort_unstable();
        assert_eq!(names(&answer), members, "{spec} {usage}");
        assert_eq!(answer[algorithms], expected);
        assert_eq!((&answer["KeySpec"], &answer["KeyUsage"]), (&json!(spec), &json!(usage)));
        assert_eq!((&answer["CustomerMasterKeySpec"], &answer["KeyId"]), (&json!(spec), &json!(key.arn)));
        assert_eq!(decode(&answer["PublicKey"]), openssl::public_half(&key.material), "{spec}");

        let described = stage.client.call("DescribeKey", &json!({"KeyId": key.arn})).await.members();
        let metadata = &described["KeyMetadata"];
        assert_eq!(metadata[algorithms], expected);
        assert_eq!((&metadata["KeySpec"], &metadata["KeyUsage"]), (&json!(spec), &json!(usage)));
        for other in ["EncryptionAlgorithms", "SigningAlgorithms", "KeyAgreementAlgorithms", "MacAlgorithms"]
        {
            assert_eq!(metadata.get(other).is_some(), other == algorithms, "{spec} {other}");
        }
        assert_eq!(metadata.get("CurrentKeyMaterialId"), None);
    }
}

#[tokio::test]
async fn keys_without_a_public_half_have_none_to_show() {
    let mut stage = Stage::set().await;
    for (spec, usage, algorithms, expected) in [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", json!(["SYMMETRIC_DEFAULT"])),
        ("HMAC_224", "GENERATE_VERIFY_MAC", "MacAlgorithms", json!(["HMAC_SHA_224"])),
        ("HMAC_512", "GENERATE_VERIFY_MAC", "MacAlgorithms", json!(["HMAC_SHA_512"])),
    ] {
        let key = stage.broker.create_key_of(spec, usage, &open_policy()).await;
        assert_eq!(
            stage.client.call("GetPublicKey", &json!({"KeyId": key.arn})).await.refusal(),
            "400 UnsupportedOperationException: only an asymmetric KMS key has a public key"
        );
        let described = stage.client.call("DescribeKey", &json!({"KeyId": key.arn})).await.members();
        let metadata = &described["KeyMetadata"];
        assert_eq!(metadata[algorithms], expected);
        assert_eq!(metadata.get("CurrentKeyMaterialId").is_some(), spec == "SYMMETRIC_DEFAULT");
    }
}

#[tokio::test]
async fn the_key_is_found_checked_and_its_policy_asked() {
    let mut stage = Stage::set().await;
    let key = stage.broker.create_key_of("ECC_NIST_P256", "SIGN_VERIFY", &open_policy()).await;
    for (members, expected) in [
        (json!({}), "ValidationException: "),
        (json!({"KeyId": "alias/none"}), "NotFoundException: "),
        (json!({"KeyId": key.arn, "GrantTokens": ["t"]}), "InvalidGrantTokenException: "),
    ] {
        let refusal = stage.client.call("GetPublicKey", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{refusal}");
    }
    stage.broker.set_policy_of(key.id, &policy_on_pcr0(&stage.enclave.pcr(0))).await;
    let refusal = stage.client.call("GetPublicKey", &json!({"KeyId": key.arn})).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    let attested = json!({"KeyId": key.arn, "Recipient": stage.recipient()});
    stage.client.call("GetPublicKey", &attested).await.members();

    stage.broker.set_policy_of(key.id, &open_policy()).await;
    stage.client.call("DisableKey", &json!({"KeyId": key.arn})).await.members();
    let refusal = stage.client.call("GetPublicKey", &json!({"KeyId": key.arn})).await.refusal();
    assert_eq!(refusal, format!("400 DisabledException: {} is disabled.", key.arn));
}

#[tokio::test]
async fn only_symmetric_encryption_keys_are_rotated_and_seal_data_keys() {
    let mut stage = Stage::set().await;
    for (spec, usage) in [
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P384", "KEY_AGREEMENT"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ] {
        let key = stage.broker.create_key_of(spec, usage, &open_policy()).await;
        for operation in [
            "EnableKeyRotation",
            "DisableKeyRotation",
            "GetKeyRotationStatus",
            "ListKeyRotations",
            "RotateKeyOnDemand",
        ] {
            assert_eq!(
                stage.client.call(operation, &json!({"KeyId": key.arn})).await.refusal(),
                "400 UnsupportedOperationException: only symmetric encryption KMS keys are rotated",
                "{operation} {spec}"
            );
        }
        for operation in [
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
        ] {
            let size = if operation.contains("Pair") { "KeyPairSpec" } else { "KeySpec" };
            let value = if operation.contains("Pair") { "ECC_NIST_P256" } else { "AES_256" };
            let members = json!({"KeyId": key.arn, size: value, "Recipient": stage.recipient()});
            let expected = if usage == "ENCRYPT_DECRYPT" {
                format!("Algorithm SYMMETRIC_DEFAULT is incompatible with key spec {spec}.")
            } else {
                format!("{} key usage is {usage} which is not valid for {operation}.", key.arn)
            };
            let refusal = stage.client.call(operation, &members).await.refusal();
            assert_eq!(refusal, format!("400 InvalidKeyUsageException: {expected}"));
        }
    }
}
