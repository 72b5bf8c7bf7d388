//! GenerateMac and VerifyMac: the MACs are those of OpenSSL, and no other passes.

use serde_json::{Value, json};

use super::{Stage, changed, decode, encode, names, openssl};
use crate::broker::{KindredKey, open_policy, policy, policy_on_pcr0};

const MESSAGE: &[u8] = b"attack at dawn";

/// Each spec, its algorithm, the name of its digest in OpenSSL and the digest's bytes.
const KINDS: [(&str, &str, &str, usize); 4] = [
    ("HMAC_224", "HMAC_SHA_224", "SHA224", 28),
    ("HMAC_256", "HMAC_SHA_256", "SHA256", 32),
    ("HMAC_384", "HMAC_SHA_384", "SHA384", 48),
    ("HMAC_512", "HMAC_SHA_512", "SHA512", 64),
];

impl Stage {
    async fn mac_key(&self, spec: &'static str) -> KindredKey {
        self.broker.create_key_of(spec, "GENERATE_VERIFY_MAC", &open_policy()).await
    }

    async fn mac(
        &mut self,
        operation: &str,
        key: &KindredKey,
        algorithm: &str,
        changes: Value,
    ) -> super::Answer {
        let members = json!({"KeyId": key.arn, "Message": encode(MESSAGE), "MacAlgorithm": algorithm});
        self.client.call(operation, &changed(members, changes)).await
    }
}

#[tokio::test]
async fn every_mac_is_that_of_openssl_and_verifies() {
    let mut stage = Stage::set().await;
    for (spec, algorithm, digest, length) in KINDS {
        let key = stage.mac_key(spec).await;
        assert_eq!(key.material.len(), length);
        for message in [&[7][..], MESSAGE, &[7; 4096]] {
            let message_member = json!({"Message": encode(message)});
            let made = stage.mac("GenerateMac", &key, algorithm, message_member.clone()).await.members();
            assert_eq!(names(&made), ["KeyId", "Mac", "MacAlgorithm"]);
            assert_eq!((&made["KeyId"], &made["MacAlgorithm"]), (&json!(key.arn), &json!(algorithm)));
            let hexkey = format!("hexkey:{}", hex::encode(&key.material));
            let arguments =
                ["mac", "-digest", digest, "-macopt", &hexkey, "-binary", "-in", "{message}", "HMAC"];
            assert_eq!(decode(&made["Mac"]), openssl::output(&[("message", message)], &arguments));

            let with_mac = changed(message_member, json!({"Mac": made["Mac"]}));
            let verified = stage.mac("VerifyMac", &key, algorithm, with_mac).await.members();
            assert_eq!(verified, json!({"KeyId": key.arn, "MacValid": true, "MacAlgorithm": algorithm}));
        }
    }
}

#[tokio::test]
async fn any_other_mac_is_refused() {
    let mut stage = Stage::set().await;
    let (key, other) = (stage.mac_key("HMAC_256").await, stage.mac_key("HMAC_256").await);
    let made = stage.mac("GenerateMac", &key, "HMAC_SHA_256", json!({})).await.members();
    let mac = decode(&made["Mac"]);
    let invalid = "400 KMSInvalidMacException: the HMAC is not that of this message under this key";
    let mut wrong = vec![mac[..31].to_vec(), [&mac[..], &[0]].concat(), vec![0; 32], vec![0]];
    for bit in 0..256 {
        let mut altered = mac.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        wrong.push(altered);
    }
    for mac in wrong {
        let refusal = stage.mac("VerifyMac", &key, "HMAC_SHA_256", json!({"Mac": encode(&mac)})).await;
        assert_eq!(refusal.refusal(), invalid);
    }
    let of_other_message = json!({"Mac": made["Mac"], "Message": encode(b"attack at noon")});
    assert_eq!(stage.mac("VerifyMac", &key, "HMAC_SHA_256", of_other_message).await.refusal(), invalid);
    let with_mac = json!({"Mac": made["Mac"]});
    assert_eq!(stage.mac("VerifyMac", &other, "HMAC_SHA_256", with_mac).await.refusal(), invalid);
}

#[tokio::test]
async fn both_check_their_members_and_their_key() {
    let mut stage = Stage::set().await;
    let key = stage.mac_key("HMAC_384").await;
    let symmetric = stage.broker.create_key_of("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", &open_policy()).await;
    for operation in ["GenerateMac", "VerifyMac"] {
        for (changes, expected) in [
            (json!({"KeyId": null}), "ValidationException: 1 validation error detected: Value 'null' at 'KeyId'".to_owned()),
            (json!({"Message": null}), "ValidationException: 1 validation error detected: Value 'null' at 'Message'".to_owned()),
            (json!({"Message": ""}), "ValidationException: 1 validation error detected: Value at 'Message'".to_owned()),
            (
                json!({"Message": encode(&[0; 4097])}),
                "ValidationException: 1 validation error detected: Value at 'Message'".to_owned(),
            ),
            (
                json!({"MacAlgorithm": "HMAC_MD5"}),
                "ValidationException: 1 validation error detected: Value 'HMAC_MD5' at 'MacAlgorithm' failed to satisfy \
                 constraint: Member must satisfy enum value set: [HMAC_SHA_224, HMAC_SHA_256, HMAC_SHA_384, HMAC_SHA_512]"
                    .to_owned(),
            ),
            (
                json!({"MacAlgorithm": "HMAC_SHA_256"}),
                "InvalidKeyUsageException: Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_384.".to_owned(),
            ),
            (
                json!({"KeyId": symmetric.arn}),
                format!(
                    "InvalidKeyUsageException: {} key usage is ENCRYPT_DECRYPT which is not valid for {operation}.",
                    symmetric.arn
                ),
            ),
            (json!({"GrantTokens": ["t"]}), "InvalidGrantTokenException: ".to_owned()),
            (json!({"DryRun": true}), "DryRunOperationException: ".to_owned()),
        ] {
            let mut members = changes.clone();
            members["Mac"] = encode(&[7; 48]);
            let refusal = stage.mac(operation, &key, "HMAC_SHA_384", members).await.refusal();
            assert!(refusal.starts_with(&format!("400 {expected}")), "{operation} {changes}: {refusal}");
        }
    }
    for mac in [json!(null), json!(""), encode(&[0; 6145])] {
        let refusal = stage.mac("VerifyMac", &key, "HMAC_SHA_384", json!({"Mac": mac})).await.refusal();
        assert!(
            refusal.starts_with("400 ValidationException: ") && refusal.contains("at 'Mac'"),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn a_policy_decides_by_algorithm_and_enclave() {
    let mut stage = Stage::set().await;
    let key = stage.mac_key("HMAC_512").await;
    for (algorithm, allowed) in [("HMAC_SHA_512", true), ("HMAC_SHA_256", false)] {
        let condition = json!({"StringEquals": {"kms:MacAlgorithm": algorithm}});
        stage.broker.set_policy_of(key.id, &policy(&condition)).await;
        assert_eq!(stage.mac("GenerateMac", &key, "HMAC_SHA_512", json!({})).await.status == 200, allowed);
    }
    stage.broker.set_policy_of(key.id, &policy_on_pcr0(&stage.enclave.pcr(0))).await;
    let refusal = stage.mac("GenerateMac", &key, "HMAC_SHA_512", json!({})).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    let attested = json!({"Recipient": stage.recipient()});
    let made = stage.mac("GenerateMac", &key, "HMAC_SHA_512", attested.clone()).await.members();
    let with_mac = changed(attested, json!({"Mac": made["Mac"]}));
    stage.mac("VerifyMac", &key, "HMAC_SHA_512", with_mac).await.members();
}
