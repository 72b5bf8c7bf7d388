//! What is tried again and what is not, and tasks that share a client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use enclave_sample::client::{
    BrokerClient, ClientError, Credentials, GenerateDataKey, MAX_CONNECTIONS, RetryPolicy, TransportError,
    TransportSecurity,
};
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};
use support::broker::Broker;
use tokio::io::AsyncReadExt as _;

static RECIPIENT: LazyLock<Arc<Recipient>> = LazyLock::new(|| Arc::new(recipient()));

fn recipient() -> Recipient {
    let root = Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap());
    let nsm = SimulatedNsm::new(root, SimulatedEnclave::default(), SimulatedClock::System).unwrap();
    Recipient::new(nsm, RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap())
}

const QUICK: RetryPolicy = RetryPolicy {
    max_attempts: 4,
    base_delay: Duration::from_millis(5),
    max_delay: Duration::from_millis(20),
    deadline: Duration::from_secs(20),
};

fn client(endpoint: &str, policy: RetryPolicy) -> BrokerClient {
    let security = TransportSecurity::InsecurePlaintext;
    BrokerClient::new(endpoint.parse().unwrap(), security, Arc::clone(&RECIPIENT)).unwrap().retrying(policy)
}

fn plain(broker: &Broker) -> BrokerClient {
    client(&format!("http://{}", broker.address), QUICK)
}

/// Answers `failures` requests with `failure` and the others honestly.
fn fail_first(broker: &Broker, failures: usize, failure: (u16, &'static str)) -> Arc<AtomicUsize> {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    broker.state.misbehave(move |_, honest| {
        if counted.fetch_add(1, Ordering::Relaxed) < failures {
            (failure.0, failure.1.as_bytes().to_vec())
        } else {
            (200, serde_json::to_vec(&honest).unwrap())
        }
    });
    requests
}

#[tokio::test]
async fn failures_that_pass_are_survived() {
    let broker = Broker::start();
    for failure in [
        (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
        (500, r#"{"__type":"KMSInternalException","message":"sorry"}"#),
        (500, r#"{"__type":"DependencyTimeoutException","message":"sorry"}"#),
        (502, "<html>Bad Gateway</html>"),
        (503, ""),
    ] {
        let requests = fail_first(&broker, 3, failure);
        plain(&broker).generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap();
        assert_eq!(requests.load(Ordering::Relaxed), 4, "{failure:?}");
    }
}

#[tokio::test]
async fn the_last_failure_is_reported_when_attempts_run_out() {
    let broker = Broker::start();
    let requests = fail_first(&broker, 100, (500, r#"{"__type":"KMSInternalException","message":"sorry"}"#));
    let error = plain(&broker).generate_data_key(&GenerateDataKey::aes_256("k")).await.unwrap_err();
    assert_eq!(error.to_string(), "KMSInternalException: sorry");
    assert_eq!(requests.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    let broker = Broker::start();
    for failure in [
        (400, r#"{"__type":"AccessDeniedException","message":"no"}"#),
        (400, r#"{"__type":"InvalidCiphertextException"}"#),
        (302, ""),
    ] {
        let requests = fail_first(&broker, 100, failure);
        plain(&broker).generate_data_key(&GenerateDataKey::aes_256("k")).await.unwrap_err();
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{failure:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_to_be_believed_is_not_asked_for_again() {
    let broker = Broker::start();
    let requests = fail_first(&broker, 100, (200, r#"{"Plaintext":"c2VjcmV0"}"#));
    let error = plain(&broker).generate_data_key(&GenerateDataKey::aes_256("k")).await.unwrap_err();
    assert!(matches!(error, ClientError::PlaintextReleased { .. }), "{error}");
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn each_attempt_shows_its_own_document_and_is_signed_anew() {
    let broker = Broker::start();
    fail_first(&broker, 1, (503, ""));
    let recipient = Arc::new(recipient().renewing_after(Duration::ZERO));
    let endpoint = format!("http://{}", broker.address).parse().unwrap();
    let client = BrokerClient::new(endpoint, TransportSecurity::InsecurePlaintext, recipient)
        .unwrap()
        .retrying(QUICK)
        .signing_with(Credentials::new("AKIDEXAMPLE", "secret", "us-east-1"));
    client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap();
    let [first, second] = &broker.received()[..] else { panic!("two requests") };
    assert_ne!(first.json["Recipient"], second.json["Recipient"]);
    assert_ne!(first.headers["authorization"], second.headers["authorization"]);
}

#[tokio::test]
async fn a_broker_that_comes_back_is_found() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let patient = RetryPolicy { max_attempts: 100, ..QUICK };
    let client = client(&format!("http://{address}"), patient);
    let server = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 16 * 1024]).await.unwrap();
        let refusal = br#"{"__type":"DisabledException","message":"off"}"#;
        let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", refusal.len());
        tokio::io::AsyncWriteExt::write_all(&mut stream, &[head.as_bytes(), refusal].concat()).await.unwrap();
    });
    let error = client.generate_data_key(&GenerateDataKey::aes_256("k")).await.unwrap_err();
    assert_eq!(error.to_string(), "DisabledException: off");
    server.await.unwrap();
}

#[tokio::test]
async fn the_deadline_ends_all_attempts() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let deadline = Duration::from_millis(200);
    let begin = Instant::now();
    let error = client(&endpoint, RetryPolicy { deadline, ..QUICK })
        .generate_data_key(&GenerateDataKey::aes_256("k"))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Timeout { after } if after == deadline), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(2));

    let nobody =
        client("unix:/nonexistent/broker.sock", RetryPolicy { deadline, max_attempts: 1000, ..QUICK });
    let begin = Instant::now();
    let error = nobody.generate_data_key(&GenerateDataKey::aes_256("k")).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport(TransportError::Connect { .. })), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_share_a_client_and_no_answer_reaches_another() {
    let broker = Broker::start();
    let client = Arc::new(plain(&broker));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            let data_key = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap();
            let decrypt = enclave_sample::client::Decrypt::blob(data_key.ciphertext_blob.clone());
            assert_eq!(client.decrypt(&decrypt).await.unwrap().plaintext, data_key.plaintext);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let received = broker.received();
    assert_eq!(received.len(), 400);
    let connections: BTreeSet<usize> = received.iter().map(|request| request.connection).collect();
    assert!(connections.len() <= MAX_CONNECTIONS, "{} connections", connections.len());
}
