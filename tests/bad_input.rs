//! Bad input of every kind over the wire: a modelled error that says what is wrong, a record, no panic, and the same
//! connection and the others keep working.

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
mod signer;

#[path = "bad_input/bodies.rs"]
mod bodies;
#[path = "bad_input/documents.rs"]
mod documents;
#[path = "bad_input/signatures.rs"]
mod signatures;
#[path = "bad_input/sockets.rs"]
mod sockets;
#[path = "bad_input/targets.rs"]
mod targets;

use broker::client::{Answer, Client};
use broker::enclave::Enclave;
use broker::{Setup, TestBroker, TestKey, open_policy};
use serde_json::json;

/// A broker, and beside the connection under attack one that behaves.
struct Stage {
    broker: TestBroker,
    key: TestKey,
    enclave: Enclave,
    client: Client,
    bystander: Client,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(Setup::default()).await
    }

    async fn set_with(setup: Setup) -> Self {
        let broker = TestBroker::start_with(setup).await;
        let key = broker.create_key(&open_policy()).await;
        let (client, bystander) = (broker.connect().await, broker.connect().await);
        Self { broker, key, enclave: Enclave::new(), client, bystander }
    }

    fn good_request(&self) -> String {
        let recipient = self.enclave.recipient(self.broker.now());
        json!({"KeyId": self.key.arn, "KeySpec": "AES_256", "Recipient": recipient}).to_string()
    }

    /// The answer is this refusal, its record says this outcome, and both connections go on.
    #[track_caller]
    fn check_refusal(&self, answer: &Answer, expected: &str, outcome: &str) {
        assert_eq!(answer.refusal(), expected);
        let record = self.broker.audit_record(answer.request_id());
        assert_eq!(record["additionalEventData"]["decision"]["outcome"], outcome, "{record}");
        assert_eq!(record["errorMessage"], answer.json()["message"]);
    }

    async fn check_both_connections_go_on(&mut self) {
        let good = self.good_request();
        self.client.post("GenerateDataKey", good.clone()).await.members();
        self.bystander.post("GenerateDataKey", good).await.members();
    }
}
