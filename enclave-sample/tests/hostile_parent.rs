//! A hostile parent instance between enclave and broker: it drops, delays, truncates, reorders, repeats, alters and
//! replaces what passes. Over TLS no wrong key is ever accepted; what can be done without TLS is shown, too.
//!
//! docs/threat-model.md has the list.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::client::{
    BrokerClient, ClientError, DataKey, Decrypt, EncryptionContext, GenerateDataKey, RetryPolicy, TlsTrust,
    TransportError, TransportSecurity,
};
use enclave_sample::cms::CmsError;
use enclave_sample::envelope::{EnvelopeError, Overwrite, SealedFile, seal_file};
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use support::broker::{Broker, KEY_ARN, certify, envelope};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

static RECIPIENT: LazyLock<Arc<Recipient>> = LazyLock::new(|| Arc::new(recipient()));

fn recipient() -> Recipient {
    let root = Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap());
    let nsm = SimulatedNsm::new(root, SimulatedEnclave::default(), SimulatedClock::System).unwrap();
    Recipient::new(nsm, RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap())
}

/// Enough for an honest exchange on a busy machine; what the parent holds back is given up soon.
const IMPATIENT: RetryPolicy = RetryPolicy { deadline: Duration::from_secs(2), ..RetryPolicy::NONE };

fn tls_client(broker: &Broker, at: SocketAddr, policy: RetryPolicy) -> BrokerClient {
    let endpoint = format!("https://localhost:{}", at.port()).parse().unwrap();
    let security = TransportSecurity::Tls(TlsTrust::from_ca_file(&broker.ca_file).unwrap());
    BrokerClient::new(endpoint, security, Arc::clone(&RECIPIENT)).unwrap().retrying(policy)
}

fn plain_client(at: SocketAddr) -> BrokerClient {
    let endpoint = format!("http://{at}").parse().unwrap();
    BrokerClient::new(endpoint, TransportSecurity::InsecurePlaintext, Arc::clone(&RECIPIENT))
        .unwrap()
        .retrying(RetryPolicy::NONE)
}

/// What the parent does to the bytes that pass, once, at one place of a direction.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    /// Hangs up.
    Drop,
    /// Swallows some bytes and lets the rest pass.
    Truncate(usize),
    /// Holds everything back for a while.
    Delay(u64),
    /// Holds a piece back until another has passed.
    Reorder,
    /// Sends a piece twice.
    Repeat,
    /// Inverts some bits of a byte.
    Alter(u8),
    /// Puts other bytes in the place of a piece.
    Replace(u8),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    to_broker: bool,
    at: usize,
    meddling: Meddling,
}

fn plans() -> impl Strategy<Value = Plan> {
    use proptest::prelude::*;
    let meddling = prop_oneof![
        Just(Meddling::Drop),
        (1_usize..200).prop_map(Meddling::Truncate),
        (1_u64..50).prop_map(Meddling::Delay),
        Just(Meddling::Reorder),
        Just(Meddling::Repeat),
        (1_u8..=255).prop_map(Meddling::Alter),
        any::<u8>().prop_map(Meddling::Replace),
    ];
    // A handshake and one request are some 8,000 bytes there and 3,000 back.
    let place = prop_oneof![(Just(true), 0_usize..9000), (Just(false), 0_usize..3500)];
    (place, meddling).prop_map(|((to_broker, at), meddling)| Plan { to_broker, at, meddling })
}

/// A parent that meddles with the first `meddled` connections according to the plan and lets the others be.
async fn parent(broker: SocketAddr, plan: Plan, meddled: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((enclave, _)) = listener.accept().await else { return };
            let plan = (number < meddled).then_some(plan);
            tokio::spawn(async move {
                let broker = TcpStream::connect(broker).await.unwrap();
                let (from_enclave, to_enclave) = enclave.into_split();
                let (from_broker, to_broker) = broker.into_split();
                tokio::select! {
                    () = pass(from_enclave, to_broker, plan.filter(|plan| plan.to_broker)) => {}
                    () = pass(from_broker, to_enclave, plan.filter(|plan| !plan.to_broker)) => {}
                }
            });
        }
    });
    address
}

/// Passes bytes on in small pieces until either side ends.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, plan: Option<Plan>) {
    let (mut passed, mut held) = (0, None);
    let mut buffer = [0; 256];
    let mut meddling = plan.map(|plan| plan.meddling);
    let at = plan.map_or(usize::MAX, |plan| plan.at);
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let mut piece = buffer[..length].to_vec();
        if passed + length > at {
            match meddling.take() {
                Some(Meddling::Drop) => return,
                Some(Meddling::Truncate(bytes)) => piece.truncate(length.saturating_sub(bytes)),
                Some(Meddling::Delay(ms)) => sleep(Duration::from_millis(ms)).await,
                Some(Meddling::Reorder) => {
                    held = Some(piece);
                    passed += length;
                    continue;
                }
                Some(Meddling::Repeat) => piece.extend_from_within(..),
                Some(Meddling::Alter(bits)) => piece[at - passed.min(at)] ^= bits,
                Some(Meddling::Replace(byte)) => piece.fill(byte),
                None => {}
            }
        }
        passed += length;
        piece.extend(held.take().unwrap_or_default());
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
}

/// A key that was accepted must be the one that the broker sealed.
async fn check_genuine(broker: &Broker, data_key: &DataKey) {
    let decrypt = Decrypt::blob(data_key.ciphertext_blob.clone());
    let straight = tls_client(broker, broker.tls_address, RetryPolicy::NONE);
    assert_eq!(straight.decrypt(&decrypt).await.unwrap().plaintext, data_key.plaintext);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_whatever_the_parent_does_no_wrong_key_is_accepted() {
    let broker = Arc::new(Broker::start());
    let mut runner = TestRunner::deterministic();
    let plans: Vec<Plan> = (0..400).map(|_| plans().new_tree(&mut runner).unwrap().current()).collect();
    let (plans, outcomes) = (Arc::new(Mutex::new(plans)), Arc::new(Mutex::new(BTreeMap::new())));
    let mut enclaves = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (broker, plans, outcomes) = (Arc::clone(&broker), Arc::clone(&plans), Arc::clone(&outcomes));
        enclaves.spawn(async move {
            loop {
                let Some(plan) = plans.lock().unwrap().pop() else { return };
                let at = parent(broker.tls_address, plan, 1).await;
                let client = tls_client(&broker, at, IMPATIENT);
                let outcome = match client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await {
                    Ok(data_key) => {
                        check_genuine(&broker, &data_key).await;
                        "genuine"
                    }
                    Err(ClientError::Transport(_)) => "no connection",
                    Err(ClientError::Http(_)) => "broken connection",
                    Err(ClientError::Timeout { .. }) => "no answer",
                    Err(error) => panic!("{plan:?}: {error}"),
                };
                *outcomes.lock().unwrap().entry(outcome).or_insert(0) += 1;
            }
        });
    }
    while let Some(done) = enclaves.join_next().await {
        done.unwrap();
    }
    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.values().sum::<i32>(), 400, "{outcomes:?}");
    // The meddling met every stage, and some of it nothing.
    assert!(outcomes.len() == 4 && outcomes.values().all(|&count| count >= 5), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_a_parent_that_meddles_for_a_while_only_delays() {
    let broker = Broker::start();
    let patient = RetryPolicy {
        max_attempts: 5,
        base_delay: Duration::from_millis(10),
        deadline: Duration::from_secs(20),
        ..RetryPolicy::NONE
    };
    for (to_broker, at) in [(true, 0), (true, 300), (true, 4000), (false, 0), (false, 1500), (false, 2200)] {
        let at = parent(broker.tls_address, Plan { to_broker, at, meddling: Meddling::Drop }, 3).await;
        let client = tls_client(&broker, at, patient);
        let data_key = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap();
        check_genuine(&broker, &data_key).await;
    }
}

#[tokio::test]
async fn a_parent_that_poses_as_the_broker_sees_no_request() {
    let broker = Broker::start();
    let (_, _, imposter) = certify(&["localhost", "nitro-key-broker"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) =
                tokio_rustls::TlsAcceptor::from(Arc::clone(&imposter)).accept(stream).await
            {
                counted.fetch_add(stream.read(&mut [0; 4096]).await.unwrap_or_default(), Ordering::Relaxed);
            }
        }
    });
    let client = tls_client(&broker, at, RetryPolicy::NONE);
    let error = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport(TransportError::Handshake { .. })), "{error}");
    assert_eq!(received.load(Ordering::Relaxed), 0);
    assert!(broker.received().is_empty());
}

/// Answers of the honest broker that the parent has seen, without TLS.
async fn seen(broker: &Broker, key_id: &str, context: &EncryptionContext) -> (Value, DataKey) {
    let answer = Arc::new(Mutex::new(Value::Null));
    let copy = Arc::clone(&answer);
    broker.state.misbehave(move |_, honest| {
        *copy.lock().unwrap() = honest.clone();
        (200, serde_json::to_vec(&honest).unwrap())
    });
    let request = GenerateDataKey { encryption_context: context.clone(), ..GenerateDataKey::aes_256(key_id) };
    let data_key = plain_client(broker.address).generate_data_key(&request).await.unwrap();
    let answer = answer.lock().unwrap().clone();
    (answer, data_key)
}

/// Has the parent put `members` of another answer into the answer to a request for a key under `KEY_ARN`.
async fn swapped(broker: &Broker, other: &Value, members: &'static [&str]) -> Result<DataKey, ClientError> {
    let other = other.clone();
    broker.state.alter(move |honest| {
        for member in members {
            honest[*member] = other[*member].clone();
        }
    });
    plain_client(broker.address).generate_data_key(&GenerateDataKey::aes_256(KEY_ARN)).await
}

#[tokio::test]
async fn without_tls_swaps_are_noticed_where_an_answer_can_show_them() {
    let broker = Broker::start();
    let other_enclave = recipient();
    let chosen =
        |spki: &[u8], secret: &[u8]| json!({"CiphertextForRecipient": BASE64.encode(envelope(spki, secret))});

    let error =
        swapped(&broker, &json!({"KeyId": "arn:aws:kms:us-east-1:000000000000:key/other"}), &["KeyId"]).await;
    assert!(matches!(error, Err(ClientError::OtherKey { .. })), "{error:?}");

    let for_another = chosen(other_enclave.key().spki_der(), &[7; 32]);
    let error = swapped(&broker, &for_another, &["CiphertextForRecipient"]).await;
    assert!(
        matches!(error, Err(ClientError::Envelope(CmsError::NotForThisKey { .. }))),
        "an envelope to another enclave: {error:?}"
    );

    let shorter = chosen(RECIPIENT.key().spki_der(), &[7; 16]);
    let error = swapped(&broker, &shorter, &["CiphertextForRecipient"]).await;
    assert!(matches!(error, Err(ClientError::PlaintextLength { expected: 32, actual: 16 })), "{error:?}");
}

/// An envelope or a ciphertext of another genuine answer: the enclave cannot tell, and nobody learns a key by it. What
/// is sealed so does not open.
#[tokio::test]
async fn without_tls_a_swap_of_genuine_parts_makes_what_is_sealed_unreadable_to_all() {
    let broker = Broker::start();
    let context = EncryptionContext::new();
    let (other, other_key) = seen(&broker, KEY_ARN, &context).await;
    for members in [&["CiphertextForRecipient"][..], &["CiphertextBlob"]] {
        let members: &'static [&str] = members;
        let data_key = swapped(&broker, &other, members).await.unwrap();
        assert_eq!(data_key.plaintext == other_key.plaintext, members == ["CiphertextForRecipient"]);

        let (plain, sealed) = (broker.path("plain"), broker.path("sealed"));
        std::fs::write(&plain, b"quarterly figures").unwrap();
        seal_file(&plain, &sealed, Overwrite::Replace, &data_key, &context, &mut |_| ()).unwrap();
        *broker.state.misbehaviour.lock().unwrap() = None;
        let blob = SealedFile::read(&sealed).unwrap().header().ciphertext_blob().to_vec();
        let opened = plain_client(broker.address).decrypt(&Decrypt::blob(blob)).await.unwrap();
        assert_ne!(opened.plaintext, data_key.plaintext);
        let error = SealedFile::read(&sealed)
            .unwrap()
            .open_to(&broker.path("opened"), Overwrite::Replace, &opened.plaintext, &mut |_| ())
            .unwrap_err();
        assert!(matches!(error, EnvelopeError::Altered { number: 0 }), "{error}");
    }
}

/// A whole answer of before: the same key again, which the parent does not know, sealed under the same key.
#[tokio::test]
async fn without_tls_a_repeated_answer_is_an_old_key_that_the_parent_does_not_know() {
    let broker = Broker::start();
    let (other, other_key) = seen(&broker, KEY_ARN, &EncryptionContext::new()).await;
    let members = &["CiphertextForRecipient", "CiphertextBlob", "KeyId"];
    let data_key = swapped(&broker, &other, members).await.unwrap();
    assert_eq!(data_key, other_key);
}

/// A parent that puts other bytes of the same length into a request.
async fn rewriting_parent(broker: SocketAddr, from: &'static str, to: &'static str) -> SocketAddr {
    assert_eq!(from.len(), to.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (enclave, _) = listener.accept().await.unwrap();
        let broker = TcpStream::connect(broker).await.unwrap();
        let (mut from_enclave, to_enclave) = enclave.into_split();
        let (from_broker, mut to_broker) = broker.into_split();
        tokio::spawn(pass(from_broker, to_enclave, None));
        let mut buffer = [0; 64 * 1024];
        while let Ok(length @ 1..) = from_enclave.read(&mut buffer).await {
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap().replace(from, to);
            to_broker.write_all(text.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn without_tls_another_encryption_context_makes_a_ciphertext_that_does_not_decrypt() {
    let broker = Broker::start();
    let context = EncryptionContext::from([("tenant".to_owned(), "alice".to_owned())]);
    let request =
        GenerateDataKey { encryption_context: context.clone(), ..GenerateDataKey::aes_256(KEY_ARN) };
    let at = rewriting_parent(broker.address, "alice", "mallo").await;
    let data_key = plain_client(at).generate_data_key(&request).await.unwrap();
    assert_eq!(broker.received()[0].json["EncryptionContext"], json!({"tenant": "mallo"}));
    let decrypt = Decrypt { encryption_context: context, ..Decrypt::blob(data_key.ciphertext_blob) };
    let error = plain_client(broker.address).decrypt(&decrypt).await.unwrap_err();
    assert_eq!(error.to_string(), "InvalidCiphertextException: the ciphertext does not open");
}

#[tokio::test]
async fn behind_an_alias_may_be_any_key_of_its_account() {
    let broker = Broker::start();
    let ask = async |key_id: &'static str, answered: &'static str| {
        broker.state.alter(move |honest| honest["KeyId"] = json!(answered));
        plain_client(broker.address).generate_data_key(&GenerateDataKey::aes_256(key_id)).await
    };
    let other = "arn:aws:kms:us-east-1:000000000000:key/other";
    assert_eq!(ask("alias/files", other).await.unwrap().key_id, other);
    assert!(ask("arn:aws:kms:us-east-1:000000000000:alias/files", other).await.is_ok());
    let elsewhere = ask("arn:aws:kms:us-east-1:111111111111:alias/files", other).await;
    assert!(matches!(elsewhere, Err(ClientError::OtherKey { .. })), "{elsewhere:?}");
}

/// This is why plain transport has to be asked for by a flag that says so: who knows the enclave's public key, which
/// stands in each document, chooses the enclave's data key.
#[tokio::test]
async fn without_tls_the_parent_can_choose_the_key() {
    let broker = Broker::start();
    let chosen = envelope(RECIPIENT.key().spki_der(), b"a key that the parent knows, 32 b");
    let chosen_32 = envelope(RECIPIENT.key().spki_der(), b"a key that the parent has chosen");
    let refused = swapped(
        &broker,
        &json!({"CiphertextForRecipient": BASE64.encode(chosen)}),
        &["CiphertextForRecipient"],
    )
    .await;
    assert!(matches!(refused, Err(ClientError::PlaintextLength { expected: 32, actual: 33 })), "{refused:?}");
    let accepted = swapped(
        &broker,
        &json!({"CiphertextForRecipient": BASE64.encode(chosen_32)}),
        &["CiphertextForRecipient"],
    )
    .await;
    assert_eq!(accepted.unwrap().plaintext[..], *b"a key that the parent has chosen");
}
