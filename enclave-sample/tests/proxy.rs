//! The proxy as a library and as a program: what it passes, what it refuses, and a broker that cannot be believed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::client::{
    BrokerClient, Credentials, DEFAULT_SERVER_NAME, RetryPolicy, TlsTrust, TransportSecurity,
};
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::proxy::{LoopbackAddress, Proxy};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use support::broker::{Broker, KEY_ARN, certify};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

static RECIPIENT: LazyLock<Arc<Recipient>> = LazyLock::new(|| {
    let root = Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap());
    let nsm = SimulatedNsm::new(root, SimulatedEnclave::default(), SimulatedClock::System).unwrap();
    Arc::new(Recipient::new(nsm, RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap()))
});

const QUICK: RetryPolicy = RetryPolicy {
    max_attempts: 2,
    base_delay: Duration::from_millis(5),
    max_delay: Duration::from_millis(5),
    deadline: Duration::from_secs(5),
};

fn client(endpoint: &str, security: TransportSecurity) -> BrokerClient {
    BrokerClient::new(endpoint.parse().unwrap(), security, Arc::clone(&RECIPIENT)).unwrap().retrying(QUICK)
}

fn plain(broker: &Broker) -> BrokerClient {
    client(&format!("http://{}", broker.address), TransportSecurity::InsecurePlaintext)
}

struct Running {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

async fn proxy(client: BrokerClient) -> Running {
    let proxy = Proxy::bind("127.0.0.1:0".parse::<LoopbackAddress>().unwrap(), client).await.unwrap();
    let address = proxy.local_address().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let task = tokio::spawn(proxy.serve(async {
        let _ = ended.await;
    }));
    Running { address, end: Some(end), task }
}

struct Response {
    status: u16,
    request_id: String,
    json: Value,
}

impl Running {
    async fn ask(&self, operation: &str, body: impl ToString) -> Response {
        let target = format!("TrentService.{operation}");
        self.send(
            "POST",
            "/",
            &[("x-amz-target", &target), ("authorization", "AWS4-HMAC-SHA256 …")],
            body.to_string(),
        )
        .await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Response {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let response =
            sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
        let status = response.status().as_u16();
        let request_id = response.headers()["x-amzn-requestid"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Response { status, request_id, json: serde_json::from_slice(&body).unwrap() }
    }
}

fn members(json: &Value) -> Vec<&String> {
    json.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn each_operation_answers_as_kms_does_without_a_recipient() {
    let broker = Broker::start();
    let proxy = proxy(plain(&broker)).await;
    let (_, public_key) = support::broker::key_pair("ECC_NIST_P256");
    for (operation, request, expected) in [
        (
            "GenerateDataKey",
            json!({"KeyId": "alias/k", "KeySpec": "AES_256"}),
            &["CiphertextBlob", "KeyId", "Plaintext"][..],
        ),
        ("GenerateRandom", json!({"NumberOfBytes": 9}), &["Plaintext"]),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": "alias/k", "KeyPairSpec": "ECC_NIST_P256"}),
            &["KeyId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PrivateKeyPlaintext", "PublicKey"],
        ),
        (
            "DeriveSharedSecret",
            json!({"KeyId": "alias/k", "KeyAgreementAlgorithm": "ECDH", "PublicKey": BASE64.encode(public_key)}),
            &["KeyAgreementAlgorithm", "KeyId", "KeyOrigin", "SharedSecret"],
        ),
    ] {
        let response = proxy.ask(operation, &request).await;
        assert_eq!(response.status, 200, "{}", response.json);
        assert_eq!(members(&response.json), expected);
        assert_eq!(response.request_id, "request-1");
    }
    let received = broker.received();
    assert!(received.iter().all(|request| request.json["Recipient"]["AttestationDocument"].is_string()));
    assert!(received.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_ciphertext_comes_back_as_its_plaintext() {
    let broker = Broker::start();
    let proxy = proxy(plain(&broker)).await;
    let made = proxy.ask("GenerateDataKey", json!({"KeyId": KEY_ARN, "NumberOfBytes": 5})).await.json;
    let request = json!({"KeyId": KEY_ARN, "CiphertextBlob": made["CiphertextBlob"]});
    let opened = proxy.ask("Decrypt", &request).await.json;
    let expected =
        json!({"KeyId": KEY_ARN, "Plaintext": made["Plaintext"], "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"});
    assert_eq!(opened, expected);
}

#[tokio::test]
async fn what_is_not_for_a_recipient_passes_as_it_is() {
    let broker = Broker::start();
    let proxy = proxy(plain(&broker)).await;
    broker.state.misbehave(|_, _| (200, br#"{"Aliases":[]}"#.to_vec()));
    let response = proxy.ask("ListAliases", json!({"Limit": 7})).await;
    assert_eq!((response.status, response.json), (200, json!({"Aliases": []})));
    let received = broker.received().pop().unwrap();
    assert_eq!(received.json, json!({"Limit": 7}));
    assert_eq!(received.headers["x-amz-target"], "TrentService.ListAliases");

    // A caller that attests for itself gets what it asked for.
    *broker.state.misbehaviour.lock().unwrap() = None;
    let document = BASE64.encode(RECIPIENT.attested_key().unwrap().document());
    let recipient = json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document});
    let request = json!({"KeyId": "alias/k", "KeySpec": "AES_256", "Recipient": recipient});
    let response = proxy.ask("GenerateDataKey", &request).await;
    assert_eq!(members(&response.json), ["CiphertextBlob", "CiphertextForRecipient", "KeyId"]);
    assert_eq!(broker.received().pop().unwrap().json, request);
}

#[tokio::test]
async fn an_answer_that_cannot_be_believed_reaches_no_caller() {
    let broker = Broker::start();
    let proxy = proxy(plain(&broker)).await;
    type Lie = fn(&mut Value);
    let lies: [(Lie, &str); 4] = [
        (|honest| honest["Plaintext"] = json!("c2VjcmV0"), "the broker's answer holds Plaintext"),
        (|honest| honest["KeyId"] = json!("arn:aws:kms:us-east-1:000000000000:key/other"), "asked for key"),
        (|honest| honest["CiphertextForRecipient"] = json!("AAAA"), "CiphertextForRecipient does not open"),
        (
            |honest| {
                honest.as_object_mut().unwrap().remove("CiphertextForRecipient");
            },
            "the broker's answer has no CiphertextForRecipient",
        ),
    ];
    for (lie, reason) in lies {
        broker.state.alter(lie);
        let response = proxy.ask("GenerateDataKey", json!({"KeyId": KEY_ARN, "KeySpec": "AES_256"})).await;
        assert_eq!((response.status, &response.json["__type"]), (500, &json!("KMSInternalException")));
        let message = response.json["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("enclave proxy: {reason}")), "{message}");
        assert_eq!(members(&response.json), ["__type", "message"]);
        assert!(response.request_id.starts_with("proxy-"));
    }
}

#[tokio::test]
async fn exceptions_pass_with_their_status_and_request_id() {
    let broker = Broker::start();
    let proxy = proxy(plain(&broker)).await;
    let response = proxy.ask("Decrypt", json!({"CiphertextBlob": "YQ=="})).await;
    assert_eq!((response.status, response.request_id.as_str()), (400, "request-1"));
    let expected = json!({"__type": "InvalidCiphertextException", "message": "the ciphertext does not open"});
    assert_eq!(response.json, expected);

    broker.state.misbehave(|_, _| (500, br#"{"__type":"KMSInternalException","message":"sorry"}"#.to_vec()));
    let response = proxy.ask("GenerateRandom", json!({"NumberOfBytes": 1})).await;
    assert_eq!((response.status, response.json["message"].as_str()), (500, Some("sorry")));
    assert_eq!(broker.received().len(), 3, "tried twice");
}

#[tokio::test]
async fn what_is_no_request_to_kms_is_answered_in_its_words() {
    let broker = Broker::start();
    let proxy = proxy(plain(&broker)).await;
    let target = [("x-amz-target", "TrentService.GenerateRandom")];
    for (method, path, headers) in [
        ("GET", "/", &target[..]),
        ("POST", "/keys", &target),
        ("POST", "/", &[]),
        ("POST", "/", &[("x-amz-target", "DynamoDB_20120810.GetItem")]),
        ("POST", "/", &[("x-amz-target", "TrentService.")]),
        ("POST", "/", &[("x-amz-target", "TrentService.A\u{e4}")]),
    ] {
        let response = proxy.send(method, path, headers, String::new()).await;
        assert_eq!(response.status, 400, "{method} {path} {headers:?}");
        assert_eq!(response.json["__type"], "UnknownOperationException", "{method} {path} {headers:?}");
    }
    let long = " ".repeat(1024 * 1024 + 1);
    let response = proxy.send("POST", "/", &target, long).await;
    assert_eq!(response.json["__type"], "SerializationException");
    assert!(broker.received().is_empty());
}

#[tokio::test]
async fn a_broker_that_is_gone_is_a_dependency_that_timed_out() {
    let broker = client("unix:/nonexistent/broker.sock", TransportSecurity::InsecurePlaintext);
    let proxy = proxy(broker).await;
    let response = proxy.ask("GenerateRandom", json!({"NumberOfBytes": 1})).await;
    assert_eq!((response.status, &response.json["__type"]), (500, &json!("DependencyTimeoutException")));
}

/// As through a forwarder to AWS: the TLS name, the Host header and the signature are those of KMS in its region, wherever
/// the socket leads.
#[tokio::test]
async fn kms_itself_can_be_behind_it() {
    const KMS: &str = "kms.eu-central-1.amazonaws.com";
    let (ca, _, tls) = certify(&[KMS]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await.unwrap();
        assert_eq!(stream.get_ref().1.server_name(), Some(KMS));
        let mut request = vec![0; 64 * 1024];
        let length = stream.read(&mut request).await.unwrap();
        let refusal = br#"{"__type":"AccessDeniedException","Message":"no"}"#;
        let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", refusal.len());
        stream.write_all(&[head.as_bytes(), refusal].concat()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let trust = TlsTrust::from_ca_pem(ca.as_bytes()).unwrap().with_server_name(KMS);
    // A Unix socket stands for vsock, which has no loopback here.
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("vsock");
    let forwarder = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut enclave, _) = forwarder.accept().await.unwrap();
        let mut kms = TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut enclave, &mut kms).await;
    });
    let kms = client(&format!("unix:{}", path.display()), TransportSecurity::Tls(trust))
        .signing_with(Credentials::new("AKIDEXAMPLE", "secret", "eu-central-1").with_session_token("token"));
    let proxy = proxy(kms).await;
    let response = proxy.ask("GenerateRandom", json!({"NumberOfBytes": 1})).await;
    assert_eq!((response.status, response.json["Message"].as_str()), (400, Some("no")));
    let request = served.await.unwrap();
    assert!(request.contains(&format!("host: {KMS}\r\n")), "{request}");
    assert!(!request.contains(DEFAULT_SERVER_NAME));
    assert!(
        request.contains("/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;"),
        "{request}"
    );
    assert!(request.contains("x-amz-security-token: token\r\n"), "{request}");
}

#[tokio::test]
async fn requests_under_way_end_before_it_does() {
    let broker = Broker::start();
    broker.state.misbehave(|_, honest| {
        std::thread::sleep(Duration::from_millis(300));
        (200, serde_json::to_vec(&honest).unwrap())
    });
    let mut proxy = proxy(plain(&broker)).await;
    let end = proxy.end.take().unwrap();
    let (response, ()) = tokio::join!(proxy.ask("GenerateRandom", json!({"NumberOfBytes": 4})), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        end.send(()).unwrap();
    });
    assert_eq!(response.status, 200);
    proxy.task.await.unwrap();
    assert!(TcpStream::connect(proxy.address).await.is_err());
}

#[test]
fn the_program_listens_on_the_loopback_only_and_ends_when_told() {
    let broker = Broker::start();
    let root = broker.path("root");
    DevelopmentRoot::generate(SystemTime::now()).unwrap().save(&root).unwrap();
    let program = |listen: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enclave-sample"));
        command
            .env_clear()
            .args(["proxy", "--listen", listen, "--endpoint"])
            .arg(format!("unix:{}", broker.tls_socket.display()))
            .arg("--ca")
            .arg(&broker.ca_file)
            .arg("--simulated-nsm")
            .arg(&root);
        command
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000"] {
        let output = program(address).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(&format!("{address} is no loopback address")), "{message}");
    }
    let mut child = program("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    // Without rights, the system may not let it.
    if rustix::process::geteuid().is_root() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
        assert_ne!(locked, "0 kB", "its memory stays out of swap");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
