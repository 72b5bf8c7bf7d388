//! DeriveSharedSecret: the enclave gets what OpenSSL derives on the peer's side.

use serde_json::{Value, json};

use super::{Stage, changed, encode, names, openssl};
use crate::broker::enclave::recipient;
use crate::broker::{KindredKey, open_policy, policy, policy_on_pcr0};

const CURVES: [(&str, &str, usize); 3] =
    [("ECC_NIST_P256", "P-256", 32), ("ECC_NIST_P384", "P-384", 48), ("ECC_NIST_P521", "P-521", 66)];

impl Stage {
    async fn agreement_key(&self, spec: &'static str) -> KindredKey {
        self.broker.create_key_of(spec, "KEY_AGREEMENT", &open_policy()).await
    }

    async fn derive(&mut self, key: &KindredKey, peer: &[u8], changes: Value) -> super::Answer {
        let members = json!({
            "KeyId": key.arn, "KeyAgreementAlgorithm": "ECDH", "PublicKey": encode(peer),
            "Recipient": self.recipient(),
        });
        self.client.call("DeriveSharedSecret", &changed(members, changes)).await
    }
}

fn ec_key_pair(curve: &str) -> (Vec<u8>, Vec<u8>) {
    openssl::key_pair(&["-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")])
}

#[tokio::test]
async fn both_sides_derive_the_same_secret() {
    let mut stage = Stage::set().await;
    for (spec, curve, length) in CURVES {
        let key = stage.agreement_key(spec).await;
        for _ in 0..4 {
            let (peer_private, peer_public) = ec_key_pair(curve);
            let answer = stage.derive(&key, &peer_public, json!({})).await.members();
            let expected = ["CiphertextForRecipient", "KeyAgreementAlgorithm", "KeyId", "KeyOrigin"];
            assert_eq!(names(&answer), expected);
            assert_eq!(answer["KeyId"], key.arn);
            assert_eq!(answer["KeyAgreementAlgorithm"], "ECDH");
            assert_eq!(answer["KeyOrigin"], "AWS_KMS");
            let arguments = [
                "pkeyutl",
                "-derive",
                "-keyform",
                "DER",
                "-inkey",
                "{private}",
                "-peerform",
                "DER",
                "-peerkey",
                "{public}",
            ];
            let files = [("private", &peer_private[..]), ("public", &key.public_key)];
            let theirs = openssl::output(&files, &arguments);
            assert_eq!(theirs.len(), length);
            assert_eq!(stage.enclave.open(&answer), theirs, "{spec}");
        }
        // The key with itself, as two brokers with the same key would.
        stage.derive(&key, &key.public_key.clone(), json!({})).await.members();
    }
}

#[tokio::test]
async fn a_peer_must_be_a_point_on_the_curve_and_nothing_else() {
    let mut stage = Stage::set().await;
    for (spec, curve, length) in CURVES {
        let key = stage.agreement_key(spec).await;
        let (_, good) = ec_key_pair(curve);
        let point = good.len() - (2 * length + 1);
        let mut off_the_curve = good.clone();
        *off_the_curve.last_mut().unwrap() ^= 1;
        let mut at_infinity = good.clone();
        at_infinity[point] = 0;
        let zero = [&good[..=point], &vec![0; 2 * length]].concat();
        let mut field_overflow = good.clone();
        field_overflow[point + 1..].fill(0xff);
        let compressed = {
            let arguments = [
                "ec",
                "-pubin",
                "-inform",
                "DER",
                "-in",
                "{key}",
                "-conv_form",
                "compressed",
                "-outform",
                "DER",
            ];
            openssl::output(&[("key", &good)], &[&arguments[..], &["-pubout"]].concat())
        };
        let other_curve = if curve == "P-256" { "P-384" } else { "P-256" };
        for (what, peer) in [
            ("another curve", ec_key_pair(other_curve).1),
            ("secp256k1", ec_key_pair("secp256k1").1),
            ("X25519", openssl::key_pair(&["-algorithm", "X25519"]).1),
            ("RSA", openssl::key_pair(&["-algorithm", "RSA"]).1),
            ("a private key", ec_key_pair(curve).0),
            ("a bare point", good[point..].to_vec()),
            ("off the curve", off_the_curve),
            ("infinity", at_infinity),
            ("zero", zero),
            ("coordinates beyond the field", field_overflow),
            ("a byte more", [&good[..], &[0]].concat()),
            ("a byte less", good[..good.len() - 1].to_vec()),
            (
                "PEM",
                openssl::output(&[("key", &good)], &["pkey", "-pubin", "-inform", "DER", "-in", "{key}"]),
            ),
            ("noise", b"no key".to_vec()),
        ] {
            let refusal = stage.derive(&key, &peer, json!({})).await.refusal();
            assert_eq!(
                refusal,
                format!(
                    "400 ValidationException: PublicKey must be a DER SubjectPublicKeyInfo of a valid public key with \
                     the spec {spec}"
                ),
                "{what}"
            );
        }
        // RFC 5480 section 2.2 has the compressed form, too: the same point, the same secret.
        let plain = stage.derive(&key, &good, json!({})).await.members();
        let shorter = stage.derive(&key, &compressed, json!({})).await.members();
        assert_eq!(stage.enclave.open(&plain), stage.enclave.open(&shorter));
    }
}

#[tokio::test]
async fn it_answers_to_an_attested_enclave_only_and_checks_its_members() {
    let mut stage = Stage::set().await;
    let key = stage.agreement_key("ECC_NIST_P256").await;
    let peer = ec_key_pair("P-256").1;
    let refusal = stage.derive(&key, &peer, json!({"Recipient": null})).await.refusal();
    assert_eq!(
        refusal,
        "400 ValidationException: DeriveSharedSecret without Recipient would return plaintext, which this broker never \
         does: pass Recipient with the attestation document of the enclave that is to receive the key"
    );
    let mut document = stage.enclave.document(stage.broker.now());
    *document.last_mut().unwrap() ^= 1;
    let refusal = stage.derive(&key, &peer, json!({"Recipient": recipient(&document)})).await.refusal();
    assert!(refusal.contains("fails at the step signature"), "{refusal}");
    for (changes, expected) in [
        (json!({"KeyId": null}), "ValidationException"),
        (json!({"KeyAgreementAlgorithm": null}), "ValidationException"),
        (json!({"KeyAgreementAlgorithm": "X25519"}), "ValidationException"),
        (json!({"PublicKey": null}), "ValidationException"),
        (json!({"PublicKey": ""}), "ValidationException"),
        (json!({"PublicKey": encode(&[0; 8193])}), "ValidationException"),
        (json!({"GrantTokens": ["t"]}), "InvalidGrantTokenException"),
        (json!({"DryRun": true}), "DryRunOperationException"),
    ] {
        let refusal = stage.derive(&key, &peer, changes.clone()).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}: ")), "{changes}: {refusal}");
    }
    let signing = stage.broker.create_key_of("ECC_NIST_P256", "SIGN_VERIFY", &open_policy()).await;
    assert_eq!(
        stage.derive(&signing, &peer, json!({})).await.refusal(),
        format!(
            "400 InvalidKeyUsageException: {} key usage is SIGN_VERIFY which is not valid for DeriveSharedSecret.",
            signing.arn
        )
    );
}

#[tokio::test]
async fn a_policy_decides_by_algorithm_and_enclave() {
    let mut stage = Stage::set().await;
    let key = stage.agreement_key("ECC_NIST_P384").await;
    let peer = ec_key_pair("P-384").1;
    let conditions = [
        (policy(&json!({"StringEquals": {"kms:KeyAgreementAlgorithm": "ECDH"}})), true),
        (policy(&json!({"StringEquals": {"kms:KeyAgreementAlgorithm": "X25519"}})), false),
        (policy_on_pcr0(&stage.enclave.pcr(0)), true),
        (policy_on_pcr0(&"ab".repeat(48)), false),
    ];
    for (policy, allowed) in conditions {
        stage.broker.set_policy_of(key.id, &policy).await;
        assert_eq!(stage.derive(&key, &peer, json!({})).await.status == 200, allowed, "{policy}");
    }
}
