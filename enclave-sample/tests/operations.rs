//! The five operations, and answers that are not ones to the request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::client::{
    BrokerClient, ClientError, Decrypt, DeriveSharedSecret, GenerateDataKey, GenerateDataKeyPair,
    KeyPairProblem, KeyPairSpec, RetryPolicy, TransportSecurity,
};
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};
use serde_json::{Value, json};
use support::broker::{Broker, KEY_ARN, envelope, key_pair};

static RECIPIENT: LazyLock<Arc<Recipient>> = LazyLock::new(|| {
    let root = Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap());
    let nsm = SimulatedNsm::new(root, SimulatedEnclave::default(), SimulatedClock::System).unwrap();
    Arc::new(Recipient::new(nsm, RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap()))
});

const OTHER_ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/other";

fn client(broker: &Broker) -> BrokerClient {
    let endpoint = format!("http://{}", broker.address).parse().unwrap();
    BrokerClient::new(endpoint, TransportSecurity::InsecurePlaintext, Arc::clone(&RECIPIENT))
        .unwrap()
        .retrying(RetryPolicy::NONE)
}

fn sealed(secret: &[u8]) -> Value {
    json!(BASE64.encode(envelope(RECIPIENT.key().spki_der(), secret)))
}

#[tokio::test]
async fn a_key_pair_of_every_kind_belongs_together() {
    let broker = Broker::start();
    for spec in KeyPairSpec::ALL {
        let request = GenerateDataKeyPair::new("alias/files", spec);
        let pair = client(&broker).generate_data_key_pair(&request).await.unwrap();
        assert_eq!((pair.key_pair_spec, pair.key_id.as_str()), (spec, KEY_ARN));
        assert!(!pair.private_key.is_empty() && !pair.public_key.is_empty());
    }
}

#[tokio::test]
async fn a_public_key_of_another_pair_is_not_believed() {
    let broker = Broker::start();
    // The bigger ones of RSA take seconds to make.
    for spec in KeyPairSpec::ALL.into_iter().filter(|spec| !["RSA_3072", "RSA_4096"].contains(&spec.name())) {
        let (_, public_key) = key_pair(spec.name());
        broker.state.alter(move |honest| honest["PublicKey"] = json!(BASE64.encode(&public_key)));
        let request = GenerateDataKeyPair::new("alias/files", spec);
        let error = client(&broker).generate_data_key_pair(&request).await.unwrap_err();
        assert!(matches!(error, ClientError::KeyPair(KeyPairProblem::Differs)), "{error}");
    }
    broker.state.alter(|honest| honest["CiphertextForRecipient"] = sealed(b"no key"));
    let request = GenerateDataKeyPair::new("alias/files", KeyPairSpec::EccNistP256);
    let error = client(&broker).generate_data_key_pair(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::KeyPair(KeyPairProblem::PrivateKey)), "{error}");
}

#[tokio::test]
async fn random_bytes_have_the_length_asked_for() {
    let broker = Broker::start();
    for length in [1, 32, 1024] {
        assert_eq!(client(&broker).generate_random(length).await.unwrap().len(), length as usize);
    }
    broker.state.alter(|honest| honest["CiphertextForRecipient"] = sealed(&[7; 31]));
    let error = client(&broker).generate_random(32).await.unwrap_err();
    assert!(matches!(error, ClientError::PlaintextLength { expected: 32, actual: 31 }), "{error}");
}

#[tokio::test]
async fn a_shared_secret_has_the_length_of_the_curve() {
    let broker = Broker::start();
    let (_, public_key) = key_pair("ECC_NIST_P256");
    let request = DeriveSharedSecret::ecdh("alias/agreement", public_key);
    let secret = client(&broker).derive_shared_secret(&request).await.unwrap();
    assert_eq!((&secret.shared_secret[..], secret.key_id.as_str()), (&[5; 32][..], KEY_ARN));
    let received = broker.received().pop().unwrap();
    assert_eq!(received.json["KeyAgreementAlgorithm"], "ECDH");

    let (_, of_another_curve) = key_pair("ECC_NIST_P384");
    let request = DeriveSharedSecret::ecdh("alias/agreement", of_another_curve);
    let error = client(&broker).derive_shared_secret(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::PlaintextLength { expected: 48, actual: 32 }), "{error}");
}

/// Each operation with a key named by its ARN, and the member that would hold its secret in the clear.
async fn ask(client: &BrokerClient, operation: &str) -> Result<(), ClientError> {
    match operation {
        "GenerateDataKey" => client.generate_data_key(&GenerateDataKey::aes_256(KEY_ARN)).await.map(drop),
        "Decrypt" => {
            let blob = vec![1];
            client
                .decrypt(&Decrypt { key_id: Some(KEY_ARN.to_owned()), ..Decrypt::blob(blob) })
                .await
                .map(drop)
        }
        "GenerateDataKeyPair" => {
            let request = GenerateDataKeyPair::new(KEY_ARN, KeyPairSpec::EccNistP256);
            client.generate_data_key_pair(&request).await.map(drop)
        }
        "GenerateRandom" => client.generate_random(32).await.map(drop),
        "DeriveSharedSecret" => {
            let (_, public_key) = key_pair("ECC_NIST_P256");
            client.derive_shared_secret(&DeriveSharedSecret::ecdh(KEY_ARN, public_key)).await.map(drop)
        }
        other => panic!("{other}"),
    }
}

/// An answer that any operation would believe, whichever it is to.
fn universal() -> Value {
    let (private_key, public_key) = key_pair("ECC_NIST_P256");
    json!({
        "KeyId": KEY_ARN,
        "CiphertextBlob": BASE64.encode([1; 40]),
        "PrivateKeyCiphertextBlob": BASE64.encode([1; 40]),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "KeyPairSpec": "ECC_NIST_P256",
        "KeyAgreementAlgorithm": "ECDH",
        "PublicKey": BASE64.encode(public_key),
        "private": BASE64.encode(private_key),
    })
}

const OPERATIONS: [(&str, &str); 5] = [
    ("GenerateDataKey", "Plaintext"),
    ("Decrypt", "Plaintext"),
    ("GenerateDataKeyPair", "PrivateKeyPlaintext"),
    ("GenerateRandom", "Plaintext"),
    ("DeriveSharedSecret", "SharedSecret"),
];

#[tokio::test]
async fn every_member_of_an_answer_must_fit_its_request() {
    let broker = Broker::start();
    let client = client(&broker);
    let mut refused = Vec::new();
    for (operation, in_the_clear) in OPERATIONS {
        let honest = move || {
            let mut answer = universal();
            let private = BASE64.decode(answer["private"].take().as_str().unwrap()).unwrap();
            answer["CiphertextForRecipient"] =
                if operation == "GenerateDataKeyPair" { sealed(&private) } else { sealed(&[7; 32]) };
            answer
        };
        let answer_with = |change: Box<dyn Fn(&mut Value) + Send + Sync>| {
            broker.state.misbehave(move |_, _| {
                let mut answer = honest();
                change(&mut answer);
                (200, serde_json::to_vec(&answer).unwrap())
            });
        };
        answer_with(Box::new(|_| ()));
        ask(&client, operation).await.unwrap();

        answer_with(Box::new(move |answer| answer[in_the_clear] = json!("c2VjcmV0")));
        let error = ask(&client, operation).await.unwrap_err();
        assert!(
            matches!(error, ClientError::PlaintextReleased { member } if member == in_the_clear),
            "{operation}: {error}"
        );

        for member in ["KeyId", "EncryptionAlgorithm", "KeyPairSpec", "KeyAgreementAlgorithm"] {
            let other = if member == "KeyId" { OTHER_ARN } else { "OTHER" };
            answer_with(Box::new(move |answer| answer[member] = json!(other)));
            if let Err(error) = ask(&client, operation).await {
                refused.push(format!("{operation}: {error}"));
            }
        }
    }
    let key = format!("asked for key {KEY_ARN}, the broker used {OTHER_ARN}");
    assert_eq!(
        refused,
        [
            format!("GenerateDataKey: {key}"),
            format!("Decrypt: {key}"),
            "Decrypt: asked with EncryptionAlgorithm SYMMETRIC_DEFAULT, the answer has OTHER".to_owned(),
            format!("GenerateDataKeyPair: {key}"),
            "GenerateDataKeyPair: asked with KeyPairSpec ECC_NIST_P256, the answer has OTHER".to_owned(),
            format!("DeriveSharedSecret: {key}"),
            "DeriveSharedSecret: asked with KeyAgreementAlgorithm ECDH, the answer has OTHER".to_owned(),
        ]
    );
}
