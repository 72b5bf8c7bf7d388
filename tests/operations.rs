//! The operations over HTTP: what comes back, to whom, and what is refused with which exception and message.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;

#[path = "support/signer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod signer;

#[path = "operations/aliases.rs"]
mod aliases;
#[path = "operations/asymmetric_encryption.rs"]
mod asymmetric_encryption;
#[path = "operations/confusion.rs"]
mod confusion;
#[path = "operations/create_key.rs"]
mod create_key;
#[path = "operations/data_key_pairs.rs"]
mod data_key_pairs;
#[path = "operations/deletion.rs"]
mod deletion;
#[path = "operations/dry_run.rs"]
mod dry_run;
#[path = "operations/encapsulation.rs"]
mod encapsulation;
#[path = "operations/encrypt.rs"]
mod encrypt;
#[path = "operations/evidence.rs"]
mod evidence;
#[path = "operations/grant_chains.rs"]
mod grant_chains;
#[path = "operations/grants.rs"]
mod grants;
#[path = "operations/identity.rs"]
mod identity;
#[path = "operations/imports.rs"]
mod imports;
#[path = "operations/last_usage.rs"]
mod last_usage;
#[path = "operations/lists.rs"]
mod lists;
#[path = "operations/mac.rs"]
mod mac;
#[path = "operations/management.rs"]
mod management;
#[path = "operations/openssl.rs"]
mod openssl;
#[path = "operations/parameters.rs"]
mod parameters;
#[path = "operations/public_key.rs"]
mod public_key;
#[path = "operations/random.rs"]
mod random;
#[path = "operations/released.rs"]
mod released;
#[path = "operations/rotation.rs"]
mod rotation;
#[path = "operations/shared_secret.rs"]
mod shared_secret;
#[path = "operations/sign.rs"]
mod sign;
#[path = "operations/tags.rs"]
mod tags;
#[path = "operations/unsupported.rs"]
mod unsupported;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::client::{Answer, Client};
use broker::enclave::Enclave;
use broker::{TestBroker, TestCredential, TestKey, open_policy};
use serde_json::{Value, json};

/// A broker with one key that everybody may use, an enclave and a connection.
struct Stage {
    broker: TestBroker,
    key: TestKey,
    enclave: Enclave,
    client: Client,
}

impl Stage {
    async fn set() -> Self {
        let broker = TestBroker::start().await;
        let key = broker.create_key(&open_policy()).await;
        let client = broker.connect().await;
        Self { broker, key, enclave: Enclave::new(), client }
    }

    /// One operation, signed.
    async fn call_as(&mut self, credential: &TestCredential, operation: &str, members: &Value) -> Answer {
        let request = broker::client::request(operation, members.to_string());
        self.client.send(signer::sign(request, credential, self.broker.now()).await).await
    }

    fn recipient(&self) -> Value {
        self.enclave.recipient(self.broker.now())
    }

    /// One operation, signed with `credential`.
    async fn signed(&mut self, credential: &TestCredential, operation: &str, members: &Value) -> Answer {
        let request = broker::client::request(operation, members.to_string());
        self.client.send(signer::sign(request, credential, self.broker.now()).await).await
    }

    /// GenerateDataKey for 32 bytes; `changes` are laid over the members, null takes one away.
    async fn generate(&mut self, changes: Value) -> Answer {
        let members = json!({"KeyId": self.key.arn, "KeySpec": "AES_256", "Recipient": self.recipient()});
        self.client.call("GenerateDataKey", &changed(members, changes)).await
    }

    async fn generate_without_plaintext(&mut self, changes: Value) -> Answer {
        let members = json!({"KeyId": self.key.arn, "KeySpec": "AES_256"});
        self.client.call("GenerateDataKeyWithoutPlaintext", &changed(members, changes)).await
    }

    async fn decrypt(&mut self, blob: &Value, changes: Value) -> Answer {
        let members = json!({"CiphertextBlob": blob, "Recipient": self.recipient()});
        self.client.call("Decrypt", &changed(members, changes)).await
    }

    /// A sealed data key and what is inside, under an encryption context.
    async fn sealed(&mut self, context: Value) -> (Value, Vec<u8>) {
        let members = self.generate(json!({"EncryptionContext": context})).await.members();
        (members["CiphertextBlob"].clone(), self.enclave.open(&members))
    }
}

fn changed(mut members: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(members.as_object_mut().unwrap().remove(name)),
            value => members[name] = value.clone(),
        }
    }
    members
}

fn names(members: &Value) -> Vec<&str> {
    members.as_object().unwrap().keys().map(String::as_str).collect()
}

fn decode(blob: &Value) -> Vec<u8> {
    STANDARD.decode(blob.as_str().unwrap()).unwrap()
}

fn encode(bytes: &[u8]) -> Value {
    json!(STANDARD.encode(bytes))
}
