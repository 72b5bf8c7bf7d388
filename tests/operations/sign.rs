//! Sign and Verify: OpenSSL accepts what the broker signs and the broker accepts what OpenSSL signs, and nothing that
//! differs by a bit.

use serde_json::{Value, json};

use super::{Stage, changed, decode, encode, names, openssl};
use crate::broker::{KindredKey, open_policy, policy, policy_on_pcr0};

const MESSAGE: &[u8] = b"attack at dawn";

/// Every spec that signs with its algorithms, and the digest of each; none for Ed25519.
const ALGORITHMS: [(&str, &[(&str, &str)]); 8] = [
    ("RSA_2048", &RSA),
    ("RSA_3072", &RSA),
    ("RSA_4096", &RSA),
    ("ECC_NIST_P256", &[("ECDSA_SHA_256", "sha256")]),
    ("ECC_NIST_P384", &[("ECDSA_SHA_384", "sha384")]),
    ("ECC_NIST_P521", &[("ECDSA_SHA_512", "sha512")]),
    ("ECC_SECG_P256K1", &[("ECDSA_SHA_256", "sha256")]),
    ("ECC_NIST_EDWARDS25519", &[("ED25519_SHA_512", "")]),
];

const RSA: [(&str, &str); 6] = [
    ("RSASSA_PSS_SHA_256", "sha256"),
    ("RSASSA_PSS_SHA_384", "sha384"),
    ("RSASSA_PSS_SHA_512", "sha512"),
    ("RSASSA_PKCS1_V1_5_SHA_256", "sha256"),
    ("RSASSA_PKCS1_V1_5_SHA_384", "sha384"),
    ("RSASSA_PKCS1_V1_5_SHA_512", "sha512"),
];

impl Stage {
    async fn signing_key(&self, spec: &'static str) -> KindredKey {
        self.broker.create_key_of(spec, "SIGN_VERIFY", &open_policy()).await
    }

    async fn sign(&mut self, key: &KindredKey, algorithm: &str, changes: Value) -> super::Answer {
        self.sign_members("Sign", key, algorithm, changes).await
    }

    async fn verify(
        &mut self,
        key: &KindredKey,
        algorithm: &str,
        signature: &[u8],
        changes: Value,
    ) -> super::Answer {
        let signature = encode(signature);
        self.sign_members("Verify", key, algorithm, changed(json!({"Signature": signature}), changes)).await
    }

    async fn sign_members(
        &mut self,
        operation: &str,
        key: &KindredKey,
        algorithm: &str,
        changes: Value,
    ) -> super::Answer {
        let members = json!({"KeyId": key.arn, "Message": encode(MESSAGE), "SigningAlgorithm": algorithm});
        self.client.call(operation, &changed(members, changes)).await
    }
}

/// What OpenSSL needs to be told about an algorithm.
fn openssl_options(algorithm: &str, digest: &str) -> Vec<String> {
    let mut options = vec!["-rawin".to_owned()];
    if !digest.is_empty() {
        options.extend(["-digest".to_owned(), digest.to_owned()]);
    }
    if algorithm.starts_with("RSASSA_PSS") {
        for option in ["rsa_padding_mode:pss", "rsa_pss_saltlen:digest"] {
            options.extend(["-pkeyopt".to_owned(), option.to_owned()]);
        }
    }
    options
}

fn openssl_accepts(
    public_key: &[u8],
    algorithm: &str,
    digest: &str,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let options = openssl_options(algorithm, digest);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let fixed = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        "{key}",
        "-sigfile",
        "{signature}",
        "-in",
        "{message}",
    ];
    let files = [("key", public_key), ("signature", signature), ("message", message)];
    openssl::run(&files, &[&fixed[..], &options[..]].concat()).status.success()
}

fn openssl_signature(private_key: &[u8], algorithm: &str, digest: &str) -> Vec<u8> {
    let options = openssl_options(algorithm, digest);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let fixed = ["pkeyutl", "-sign", "-keyform", "DER", "-inkey", "{key}", "-in", "{message}"];
    openssl::output(&[("key", private_key), ("message", MESSAGE)], &[&fixed[..], &options[..]].concat())
}

#[tokio::test]
async fn every_key_and_algorithm_agrees_with_openssl() {
    let mut stage = Stage::set().await;
    for (spec, algorithms) in ALGORITHMS {
        let key = stage.signing_key(spec).await;
        for (algorithm, digest) in algorithms {
            let signed = stage.sign(&key, algorithm, json!({})).await.members();
            assert_eq!(names(&signed), ["KeyId", "Signature", "SigningAlgorithm"], "{spec} {algorithm}");
            assert_eq!((&signed["KeyId"], &signed["SigningAlgorithm"]), (&json!(key.arn), &json!(algorithm)));
            let mut signature = decode(&signed["Signature"]);
            assert!(openssl_accepts(&key.public_key, algorithm, digest, MESSAGE, &signature), "{algorithm}");
            assert!(!openssl_accepts(&key.public_key, algorithm, digest, b"attack at noon", &signature));

            let verified = stage.verify(&key, algorithm, &signature, json!({})).await.members();
            assert_eq!(
                verified,
                json!({"KeyId": key.arn, "SignatureValid": true, "SigningAlgorithm": algorithm})
            );
            let theirs = openssl_signature(&key.material, algorithm, digest);
            stage.verify(&key, algorithm, &theirs, json!({})).await.members();

            let invalid = "400 KMSInvalidSignatureException: the signature is not one of this message by this key with \
                           this algorithm";
            let other_message = json!({"Message": encode(b"attack at noon")});
            assert_eq!(stage.verify(&key, algorithm, &signature, other_message).await.refusal(), invalid);
            let longer = [&signature[..], &[0]].concat();
            assert_eq!(stage.verify(&key, algorithm, &longer, json!({})).await.refusal(), invalid);
            let middle = signature.len() / 2;
            signature[middle] ^= 1;
            let altered = stage.verify(&key, algorithm, &signature, json!({})).await;
            assert_eq!(altered.refusal(), invalid, "{spec} {algorithm}");
            let record = stage.broker.audit_record(altered.request_id());
            assert_eq!(record["errorCode"], "KMSInvalidSignatureException");
        }
    }
}

#[tokio::test]
async fn a_digest_stands_for_its_message() {
    let mut stage = Stage::set().await;
    for (spec, algorithms) in [ALGORITHMS[0], ALGORITHMS[3], ALGORITHMS[4], ALGORITHMS[5], ALGORITHMS[6]] {
        let key = stage.signing_key(spec).await;
        for (algorithm, digest) in algorithms {
            let digested = openssl::digest(digest, MESSAGE);
            let as_digest = json!({"MessageType": "DIGEST", "Message": encode(&digested)});
            let signed = stage.sign(&key, algorithm, as_digest.clone()).await.members();
            let signature = decode(&signed["Signature"]);
            assert!(openssl_accepts(&key.public_key, algorithm, digest, MESSAGE, &signature), "{algorithm}");
            stage.verify(&key, algorithm, &signature, json!({"MessageType": "RAW"})).await.members();
            let of_message = decode(&stage.sign(&key, algorithm, json!({})).await.members()["Signature"]);
            stage.verify(&key, algorithm, &of_message, as_digest).await.members();

            // The digest as a message is hashed again.
            let as_message = json!({"Message": encode(&digested)});
            let refusal = stage.verify(&key, algorithm, &signature, as_message).await.refusal();
            assert!(refusal.starts_with("400 KMSInvalidSignatureException: "), "{refusal}");
            for length in [1, 20, digested.len() - 1, digested.len() + 1, 4096] {
                let other = json!({"MessageType": "DIGEST", "Message": encode(&vec![7; length])});
                let expected =
                    format!("400 ValidationException: Digest is invalid length for algorithm {algorithm}.");
                assert_eq!(stage.sign(&key, algorithm, other.clone()).await.refusal(), expected);
                assert_eq!(stage.verify(&key, algorithm, &signature, other).await.refusal(), expected);
            }
        }
    }
}

#[tokio::test]
async fn a_key_signs_with_its_own_algorithms_only() {
    let mut stage = Stage::set().await;
    let every: Vec<&str> = RSA
        .iter()
        .map(|(algorithm, _)| *algorithm)
        .chain(["ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512", "SM2DSA", "ML_DSA_SHAKE_256"])
        .chain(["ED25519_SHA_512", "ED25519_PH_SHA_512"])
        .collect();
    for (spec, own) in ALGORITHMS.into_iter().filter(|(spec, _)| !matches!(*spec, "RSA_3072" | "RSA_4096")) {
        let key = stage.signing_key(spec).await;
        for algorithm in &every {
            if own.iter().any(|(own, _)| own == algorithm) {
                continue;
            }
            let expected = if (spec, *algorithm) == ("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512") {
                "400 UnsupportedOperationException: this broker does not sign with ED25519_PH_SHA_512"
                    .to_owned()
            } else {
                format!(
                    "400 InvalidKeyUsageException: Algorithm {algorithm} is incompatible with key spec {spec}."
                )
            };
            assert_eq!(stage.sign(&key, algorithm, json!({})).await.refusal(), expected);
            assert_eq!(stage.verify(&key, algorithm, b"signature", json!({})).await.refusal(), expected);
        }
        for message_type in ["EXTERNAL_MU", "DIGEST"] {
            if message_type == "DIGEST" && spec != "ECC_NIST_EDWARDS25519" {
                continue;
            }
            let refusal = stage.sign(&key, own[0].0, json!({"MessageType": message_type})).await.refusal();
            assert_eq!(
                refusal,
                format!(
                    "400 ValidationException: Message type {message_type} is incompatible with algorithm {}.",
                    own[0].0
                )
            );
        }
    }
}

#[tokio::test]
async fn a_key_for_something_else_does_not_sign() {
    let mut stage = Stage::set().await;
    for (spec, usage, algorithm) in [
        ("RSA_2048", "ENCRYPT_DECRYPT", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "ECDSA_SHA_256"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "ECDSA_SHA_256"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "ECDSA_SHA_256"),
    ] {
        let key = stage.broker.create_key_of(spec, usage, &open_policy()).await;
        let expected = |operation| {
            format!(
                "400 InvalidKeyUsageException: {} key usage is {usage} which is not valid for {operation}.",
                key.arn
            )
        };
        assert_eq!(stage.sign(&key, algorithm, json!({})).await.refusal(), expected("Sign"));
        let verified = stage.verify(&key, algorithm, b"signature", json!({})).await;
        assert_eq!(verified.refusal(), expected("Verify"));
    }
}

#[tokio::test]
async fn another_key_of_the_same_kind_did_not_sign() {
    let mut stage = Stage::set().await;
    for (spec, algorithms) in [ALGORITHMS[0], ALGORITHMS[3], ALGORITHMS[7]] {
        let (key, other) = (stage.signing_key(spec).await, stage.signing_key(spec).await);
        let signed = stage.sign(&key, algorithms[0].0, json!({})).await.members();
        let refusal = stage.verify(&other, algorithms[0].0, &decode(&signed["Signature"]), json!({})).await;
        assert!(refusal.refusal().starts_with("400 KMSInvalidSignatureException: "), "{spec}");
    }
}

#[tokio::test]
async fn sign_and_verify_check_their_members() {
    let mut stage = Stage::set().await;
    let key = stage.signing_key("ECC_NIST_P256").await;
    let violated = |member: &str, rule: &str| {
        format!(
            "400 ValidationException: 1 validation error detected: Value {member} failed to satisfy constraint: \
             Member must {rule}"
        )
    };
    let types = "satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]";
    let dry_run =
        "400 DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
    for (changes, expected) in [
        (json!({"KeyId": null}), violated("'null' at 'KeyId'", "not be null")),
        (json!({"Message": null}), violated("'null' at 'Message'", "not be null")),
        (json!({"Message": ""}), violated("at 'Message'", "have length greater than or equal to 1")),
        (
            json!({"Message": encode(&[0; 4097])}),
            violated("at 'Message'", "have length less than or equal to 4096"),
        ),
        (json!({"MessageType": "TEXT"}), violated("'TEXT' at 'MessageType'", types)),
        (json!({"SigningAlgorithm": null}), violated("'null' at 'SigningAlgorithm'", "not be null")),
        (json!({"KeyId": "alias/none"}), "400 NotFoundException: ".to_owned()),
        (json!({"GrantTokens": ["t"]}), "400 InvalidGrantTokenException: ".to_owned()),
        (json!({"DryRun": true}), dry_run.to_owned()),
    ] {
        for operation in ["Sign", "Verify"] {
            let mut members = changes.clone();
            members["Signature"] = encode(b"signature");
            let refusal = stage.sign_members(operation, &key, "ECDSA_SHA_256", members).await.refusal();
            assert!(refusal.starts_with(&expected), "{operation} {changes}: {refusal}");
        }
    }
    for (signature, rule) in [
        (json!(""), "have length greater than or equal to 1"),
        (encode(&[0; 6145]), "have length less than or equal to 6144"),
    ] {
        let members = json!({"Signature": signature});
        let refusal = stage.sign_members("Verify", &key, "ECDSA_SHA_256", members).await.refusal();
        assert_eq!(refusal, violated("at 'Signature'", rule));
    }
    let longest = json!({"Message": encode(&[7; 4096])});
    let signed = stage.sign(&key, "ECDSA_SHA_256", longest.clone()).await.members();
    stage.verify(&key, "ECDSA_SHA_256", &decode(&signed["Signature"]), longest).await.members();
    stage.client.call("DisableKey", &json!({"KeyId": key.arn})).await.members();
    for refusal in [
        stage.sign(&key, "ECDSA_SHA_256", json!({})).await.refusal(),
        stage.verify(&key, "ECDSA_SHA_256", b"signature", json!({})).await.refusal(),
    ] {
        assert_eq!(refusal, format!("400 DisabledException: {} is disabled.", key.arn));
    }
}

#[tokio::test]
async fn a_policy_decides_by_algorithm_message_type_and_enclave() {
    let mut stage = Stage::set().await;
    let key = stage.signing_key("ECC_NIST_P256").await;
    let digest = json!({"MessageType": "DIGEST", "Message": encode(&[7; 32])});
    let digests = policy(&json!({"StringEquals": {"kms:MessageType": "DIGEST"}}));
    stage.broker.set_policy_of(key.id, &digests).await;
    stage.sign(&key, "ECDSA_SHA_256", digest.clone()).await.members();
    let refusal = stage.sign(&key, "ECDSA_SHA_256", json!({})).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");

    for (algorithm, allowed) in [("ECDSA_SHA_256", true), ("ECDSA_SHA_384", false)] {
        let condition = json!({"StringEquals": {"kms:SigningAlgorithm": algorithm}});
        stage.broker.set_policy_of(key.id, &policy(&condition)).await;
        let answer = stage.sign(&key, "ECDSA_SHA_256", json!({})).await;
        assert_eq!(answer.status == 200, allowed, "{algorithm}");
    }

    // Beyond KMS: a key that signs in its enclave only.
    stage.broker.set_policy_of(key.id, &policy_on_pcr0(&stage.enclave.pcr(0))).await;
    let refusal = stage.sign(&key, "ECDSA_SHA_256", json!({})).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    let attested = json!({"Recipient": stage.recipient()});
    let answer = stage.sign(&key, "ECDSA_SHA_256", attested.clone()).await;
    let signature = decode(&answer.members()["Signature"]);
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!(
        record["additionalEventData"]["recipient"]["attestationDocumentEnclaveImageDigest"],
        stage.enclave.pcr(0)
    );
    assert_eq!(
        record["requestParameters"],
        json!({
            "keyId": key.arn, "messageType": "RAW", "signingAlgorithm": "ECDSA_SHA_256",
            "recipient": {"keyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"},
        })
    );
    stage.verify(&key, "ECDSA_SHA_256", &signature, attested).await.members();
}
