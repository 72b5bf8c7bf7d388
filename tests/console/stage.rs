//! A broker that has served, and a console over its data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use enclave_sample::nsm::AttestationRequest;
use enclave_sample::nsm::simulated::SimulatedEnclave;
use nitro_key_broker::attestation::{Requirements, TrustAnchors};
use nitro_key_broker::console::{Console, ConsoleSources};
use nitro_key_broker::crypto::PasswordHash;
use nitro_key_broker::server::{ListenAddress, ListenerConfig, LocalAddress, Server, ServerConfig};
use nitro_key_broker::store::{Operator, OperatorName, OperatorStore, SqliteStore};
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::broker::client::{Answer, Client, request};
use crate::broker::enclave::{Enclave, development_root, recipient};
use crate::broker::{DEVELOPMENT_ROOT_PATH, TestBroker, TestCredential, TestKey};
use crate::signer;

pub const OPERATOR: &str = "alice";
pub const PASSWORD: &str = "four words in a row";

pub const PARENT: &str = "arn:aws:iam::111122223333:role/enclave-parent";
pub const DEPLOYER: &str = "arn:aws:iam::111122223333:role/deployer";

/// Broker and console of one test, on the same data.
pub struct Stage {
    pub broker: TestBroker,
    pub client: Client,
    /// Allowed by the payments key's policy, and another image that is not.
    pub enclave: Enclave,
    pub other_enclave: Enclave,
    pub payments: TestKey,
    pub open: TestKey,
    pub parent: TestCredential,
    pub deployer: TestCredential,
    address: SocketAddr,
    clock_ms: Arc<AtomicU64>,
    _shutdown: oneshot::Sender<()>,
}

impl Stage {
    /// Two keys, two images, an operator; nothing served yet.
    pub async fn set() -> Self {
        let broker = TestBroker::start().await;
        let enclave = Enclave::new();
        let other_enclave = Enclave::measuring(SimulatedEnclave::default().with_pcr(0, [0xc7; 48]));
        let payments = broker.create_key(&payments_policy(&enclave.pcr(0))).await;
        broker.create_alias("alias/payments", &payments).await;
        let open = broker.create_key(&careless_policy()).await;
        broker.create_alias("alias/trial", &open).await;
        let parent = broker.create_credential(PARENT, None).await;
        let deployer = broker.create_credential(DEPLOYER, None).await;
        let (address, clock_ms, shutdown) = serve_console(&broker).await;
        let client = broker.connect().await;
        Self {
            client,
            enclave,
            other_enclave,
            payments,
            open,
            parent,
            deployer,
            address,
            clock_ms,
            _shutdown: shutdown,
            broker,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn audit_log(&self) -> PathBuf {
        self.broker.folder().join("audit.jsonl")
    }

    pub fn set_console_clock(&self, now: UnixTime) {
        self.clock_ms.store(now.as_ms(), Ordering::SeqCst);
    }

    /// One request, signed with `credential`.
    pub async fn call_as(&mut self, credential: &TestCredential, operation: &str, members: &Value) -> Answer {
        let mut request = request(operation, members.to_string());
        request.headers_mut().insert("user-agent", "aws-sdk-rust/1.3.9 lang/rust/1.95".parse().unwrap());
        self.client.send(signer::sign(request, credential, self.broker.now()).await).await
    }

    /// A day of requests up to now: most are allowed, some are not, for every kind of reason.
    pub async fn serve_a_day(&mut self) {
        let end = self.broker.now();
        let (parent, deployer) = (clone(&self.parent), clone(&self.deployer));
        let (payments, open) = (self.payments.arn.clone(), self.open.arn.clone());
        for half_hour in 0..48_u64 {
            let ago = Duration::from_secs((47 - half_hour) * 1800 + 60);
            self.broker.set_clock(end.saturating_sub(ago));
            let now = self.broker.now();
            // More by day than by night.
            let requests = [2, 1, 1, 2, 4, 6, 7, 5][usize::try_from(half_hour / 6).unwrap()];
            for number in 0..requests {
                let recipient = self.enclave.recipient(now);
                let context = json!({"application": "payments", "tenant": format!("t-{:03}", number * 7)});
                let members = json!({"KeyId": payments, "KeySpec": "AES_256", "EncryptionContext": context, "Recipient": recipient});
                self.call_as(&parent, "GenerateDataKey", &members).await;
            }
            if half_hour % 5 == 0 {
                let recipient = self.other_enclave.recipient(now);
                let members = json!({"KeyId": payments, "KeySpec": "AES_256", "Recipient": recipient});
                self.call_as(&parent, "GenerateDataKey", &members).await;
            }
            if half_hour % 7 == 3 {
                let stale = self.enclave.recipient(now.saturating_sub(Duration::from_secs(900)));
                let members = json!({"KeyId": payments, "KeySpec": "AES_256", "Recipient": stale});
                self.call_as(&parent, "GenerateDataKey", &members).await;
            }
            if half_hour % 11 == 4 {
                self.call_as(&deployer, "DescribeKey", &json!({"KeyId": payments})).await;
                self.call_as(&deployer, "Encrypt", &json!({"KeyId": open, "Plaintext": "AAAA"})).await;
            }
            if half_hour % 13 == 6 {
                self.client.post("GenerateDataKey", "{").await;
                self.client.call("Encrypt", &json!({"KeyId": open, "Plaintext": "AAAA"})).await;
            }
        }
        self.broker.set_clock(end);
        self.broker.keep_house().await;
    }

    /// One more request that is allowed, or refused because of its image.
    pub async fn serve_one(&mut self, allowed: bool) {
        let now = self.broker.now();
        let parent = clone(&self.parent);
        let enclave = if allowed { &self.enclave } else { &self.other_enclave };
        let members =
            json!({"KeyId": self.payments.arn, "KeySpec": "AES_256", "Recipient": enclave.recipient(now)});
        let answer = self.call_as(&parent, "GenerateDataKey", &members).await;
        assert_eq!(answer.status == 200, allowed);
    }

    /// A document with this `user_data`, made now.
    pub fn document_with(&self, user_data: &[u8]) -> Vec<u8> {
        let mut request = AttestationRequest::with_public_key(self.enclave.key().spki_der());
        request.user_data = Some(user_data);
        self.enclave.attest(&request, self.broker.now())
    }

    pub fn recipient_with(&self, user_data: &[u8]) -> Value {
        recipient(&self.document_with(user_data))
    }
}

fn clone(credential: &TestCredential) -> TestCredential {
    TestCredential {
        access_key_id: credential.access_key_id.clone(),
        secret: credential.secret.clone(),
        session_token: credential.session_token.clone(),
    }
}

/// As a security team would have it.
fn payments_policy(pcr0: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "EnclaveOnly",
                "Effect": "Allow",
                "Principal": {"AWS": PARENT},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": pcr0}},
            },
            {
                "Sid": "Administration",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"],
                "Resource": "*",
            },
        ],
    })
}

/// As nobody should have it.
fn careless_policy() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}],
    })
}

/// As `console` does it: a store of its own over the broker's file, the roots and requirements of the broker.
async fn serve_console(broker: &TestBroker) -> (SocketAddr, Arc<AtomicU64>, oneshot::Sender<()>) {
    let store = SqliteStore::open(&broker.folder().join("keys.sqlite3")).await.unwrap();
    let operator = Operator {
        name: OperatorName::parse(OPERATOR).unwrap(),
        password_hash: PasswordHash::new(PASSWORD.as_bytes()).unwrap(),
        created_at: broker.now(),
    };
    assert!(store.insert_operator(&operator).await.unwrap());
    let clock_ms = Arc::new(AtomicU64::new(broker.now().as_ms()));
    let clock = Arc::clone(&clock_ms);
    let pem = development_root().certificate_pem();
    let aws = TrustAnchors::aws().unwrap();
    let sources = ConsoleSources {
        store: Arc::new(store),
        trust_anchors: aws.with_configured(pem.as_bytes(), Path::new(DEVELOPMENT_ROOT_PATH)).unwrap(),
        requirements: Requirements::default(),
        audit_log: broker.folder().join("audit.jsonl"),
        checkpoint_key: None,
        clock: Arc::new(move || UnixTime::from_ms(clock.load(Ordering::SeqCst))),
    };
    let console = Console::new(sources).await.unwrap();
    let address =
        ListenAddress::Tcp { address: "127.0.0.1:0".parse().unwrap(), allow_plain_non_loopback: false };
    let listeners = vec![ListenerConfig { address, tls: None }];
    let bound = Server::bind(ServerConfig { listeners, limits: Console::limits() }).await.unwrap();
    let LocalAddress::Tcp(address) = bound.local_addresses()[0] else { panic!("not TCP") };
    let (shutdown, stopped) = oneshot::channel::<()>();
    tokio::spawn(bound.run(console, async move { drop(stopped.await) }));
    (address, clock_ms, shutdown)
}
