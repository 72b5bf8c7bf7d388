//! The client against a stand-in broker, honest and otherwise, over each transport that runs on any machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::client::{
    BrokerClient, ClientError, Credentials, DataKeyLength, Decrypt, EncryptionContext, Endpoint,
    GenerateDataKey, KeyPin, MAX_RESPONSE_BYTES, Refusal, RetryPolicy, TlsTrust, TransportError,
    TransportSecurity,
};
use enclave_sample::cms::CmsError;
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};
use serde_json::{Value, json};
use support::broker::{Broker, KEY_ARN, certify, envelope};

static RECIPIENT: LazyLock<Arc<Recipient>> = LazyLock::new(|| {
    let root = Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap());
    let nsm = SimulatedNsm::new(root, SimulatedEnclave::default(), SimulatedClock::System).unwrap();
    Arc::new(Recipient::new(nsm, RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap()))
});

/// A client that sends each request once, so that a test sees what it made of the first answer.
fn client(endpoint: &str, security: TransportSecurity) -> Result<BrokerClient, TransportError> {
    let client = BrokerClient::new(endpoint.parse().unwrap(), security, Arc::clone(&RECIPIENT))?;
    Ok(client.retrying(RetryPolicy::NONE))
}

fn plain(broker: &Broker) -> BrokerClient {
    client(&format!("http://{}", broker.address), TransportSecurity::InsecurePlaintext).unwrap()
}

fn trust(broker: &Broker) -> TlsTrust {
    TlsTrust::from_ca_file(&broker.ca_file).unwrap()
}

fn context(value: &str) -> EncryptionContext {
    EncryptionContext::from([("purpose".to_owned(), value.to_owned())])
}

async fn data_key_error(broker: &Broker) -> ClientError {
    plain(broker).generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap_err()
}

#[tokio::test]
async fn every_transport_yields_a_data_key_that_decrypts_again() {
    let broker = Broker::start();
    let tls = || TransportSecurity::Tls(trust(&broker));
    for client in [
        plain(&broker),
        client(&format!("https://localhost:{}", broker.tls_address.port()), tls()).unwrap(),
        client(&format!("unix:{}", broker.socket.display()), TransportSecurity::InsecurePlaintext).unwrap(),
        client(&format!("unix:{}", broker.tls_socket.display()), tls()).unwrap(),
    ] {
        let request = GenerateDataKey {
            encryption_context: context("test"),
            ..GenerateDataKey::aes_256("alias/files")
        };
        let data_key = client.generate_data_key(&request).await.unwrap();
        assert_eq!(data_key.plaintext.len(), 32);
        assert_eq!(data_key.key_id, KEY_ARN);
        let decrypt = Decrypt {
            key_id: Some(KEY_ARN.to_owned()),
            encryption_context: context("test"),
            ..Decrypt::blob(data_key.ciphertext_blob)
        };
        let decrypted = client.decrypt(&decrypt).await.unwrap();
        assert_eq!(decrypted.plaintext, data_key.plaintext);
        assert_eq!(decrypted.key_id, KEY_ARN);
    }
}

#[tokio::test]
async fn requests_are_aws_json_with_a_recipient_and_no_credentials() {
    let broker = Broker::start();
    let request = GenerateDataKey {
        key_id: "alias/files".to_owned(),
        length: DataKeyLength::Bytes(7),
        encryption_context: context("test"),
        grant_tokens: vec!["token".to_owned()],
        dry_run: false,
    };
    let data_key = plain(&broker).generate_data_key(&request).await.unwrap();
    assert_eq!(data_key.plaintext.len(), 7);

    let [received] = &broker.received()[..] else { panic!("one request") };
    assert_eq!(received.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(received.headers["x-amz-target"], "TrentService.GenerateDataKey");
    assert_eq!(received.headers["host"], broker.address.to_string());
    assert!(!received.headers.contains_key("authorization"));
    let mut json = received.json.clone();
    let document = json["Recipient"]["AttestationDocument"].take();
    assert_eq!(document, BASE64.encode(RECIPIENT.attested_key().unwrap().document()));
    assert_eq!(
        json,
        json!({
            "KeyId": "alias/files",
            "NumberOfBytes": 7,
            "EncryptionContext": {"purpose": "test"},
            "GrantTokens": ["token"],
            "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": null},
        })
    );
}

#[tokio::test]
async fn given_credentials_sign_the_request() {
    let broker = Broker::start();
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", "eu-central-1").with_session_token("token");
    let client = plain(&broker).signing_with(credentials);
    client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap();
    let headers = &broker.received()[0].headers;
    let authorization = &headers["authorization"];
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(
        authorization.contains(
            "/eu-central-1/kms/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
        ),
        "{authorization}"
    );
    assert_eq!(headers["x-amz-security-token"], "token");
}

#[tokio::test]
async fn a_connection_is_reused_and_replaced_when_the_broker_closes_it() {
    let broker = Broker::start();
    let client = plain(&broker);
    let request = GenerateDataKey::aes_256("alias/files");
    for _ in 0..3 {
        client.generate_data_key(&request).await.unwrap();
    }
    let connections: Vec<usize> = broker.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [0, 0, 0]);

    *broker.state.close_after_each.lock().unwrap() = true;
    let closed = plain(&broker);
    for _ in 0..3 {
        closed.generate_data_key(&request).await.unwrap();
    }
    let connections: Vec<usize> = broker.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 2, 3]);
}

#[tokio::test]
async fn a_request_that_finds_its_connection_dead_is_sent_once_more() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let refusal = br#"{"__type":"DisabledException","message":"off"}"#;
        let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", refusal.len());
        let mut buffer = vec![0; 64 * 1024];
        // Answers the first request, reads the second and hangs up; answers the third on a new connection.
        let (mut first, _) = listener.accept().await.unwrap();
        let _ = first.read(&mut buffer).await.unwrap();
        first.write_all(&[head.as_bytes(), refusal].concat()).await.unwrap();
        let _ = first.read(&mut buffer).await.unwrap();
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        let _ = second.read(&mut buffer).await.unwrap();
        second.write_all(&[head.as_bytes(), refusal].concat()).await.unwrap();
        // A connection that dies on its first request is not tried again.
        drop(second);
        let (third, _) = listener.accept().await.unwrap();
        drop(third);
    });
    let client = client(&endpoint, TransportSecurity::InsecurePlaintext).unwrap();
    let request = GenerateDataKey::aes_256("alias/files");
    for _ in 0..2 {
        let error = client.generate_data_key(&request).await.unwrap_err();
        assert_eq!(error.to_string(), "DisabledException: off");
    }
    let error = client.generate_data_key(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::Http(_)), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn plaintext_in_an_answer_is_refused_whatever_else_it_holds() {
    let broker = Broker::start();
    for plaintext in [json!(BASE64.encode([7; 32])), Value::Null, json!({})] {
        broker.state.alter(move |honest| honest["Plaintext"] = plaintext.clone());
        let error = data_key_error(&broker).await;
        assert!(matches!(error, ClientError::PlaintextReleased { member: "Plaintext" }), "{error}");
        let error = plain(&broker).decrypt(&Decrypt::blob(b"blob")).await.unwrap_err();
        assert!(matches!(error, ClientError::PlaintextReleased { member: "Plaintext" }), "{error}");
    }
}

#[tokio::test]
async fn an_answer_must_fit_the_request() {
    let broker = Broker::start();
    let key = RECIPIENT.key();
    let spki = key.spki_der();

    broker.state.alter(|honest| {
        let short = envelope(RECIPIENT.key().spki_der(), &[7; 16]);
        honest["CiphertextForRecipient"] = json!(BASE64.encode(short));
    });
    let error = data_key_error(&broker).await;
    assert!(matches!(error, ClientError::PlaintextLength { expected: 32, actual: 16 }), "{error}");

    for member in ["CiphertextForRecipient", "CiphertextBlob", "KeyId"] {
        broker.state.alter(move |honest| {
            honest.as_object_mut().unwrap().remove(member);
        });
        let error = data_key_error(&broker).await;
        assert_eq!(error.to_string(), format!("the broker's answer has no {member}"));
    }

    broker.state.alter(|honest| honest["KeyId"] = json!("arn:aws:kms:us-east-1:000000000000:key/other"));
    let request = GenerateDataKey::aes_256(KEY_ARN);
    let error = plain(&broker).generate_data_key(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::OtherKey { .. }), "{error}");

    let other = RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap();
    assert_ne!(other.spki_der(), spki);
    broker.state.alter(move |honest| {
        honest["CiphertextForRecipient"] = json!(BASE64.encode(envelope(other.spki_der(), &[7; 32])));
    });
    let error = data_key_error(&broker).await;
    assert!(matches!(error, ClientError::Envelope(CmsError::NotForThisKey { .. })), "{error}");
}

#[tokio::test]
async fn refusals_carry_the_exception_and_the_request_id() {
    let broker = Broker::start();
    let error = plain(&broker).decrypt(&Decrypt::blob(b"foreign")).await.unwrap_err();
    let ClientError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!(
        refusal,
        Refusal {
            status: 400,
            code: "InvalidCiphertextException".to_owned(),
            message: "the ciphertext does not open".to_owned(),
            request_id: Some("request-1".to_owned()),
        }
    );

    let request = GenerateDataKey { dry_run: true, ..GenerateDataKey::aes_256("alias/files") };
    let error = plain(&broker).generate_data_key(&request).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(refusal) if refusal.is_successful_dry_run()), "{error}");

    let client = plain(&broker).omitting_recipient();
    let error = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap_err();
    assert_eq!(error.to_string(), "AccessDeniedException: no Recipient: plaintext is never released");
    assert!(broker.received().last().unwrap().json.get("Recipient").is_none());
}

#[tokio::test]
async fn anything_but_status_200_is_no_success() {
    let broker = Broker::start();
    for status in [201, 202, 206, 302, 500] {
        broker.state.misbehave(move |_, honest| (status, serde_json::to_vec(&honest).unwrap()));
        let error = data_key_error(&broker).await;
        assert!(
            matches!(error, ClientError::UnexpectedStatus { status: found } if found == status),
            "{error}"
        );
    }
}

#[tokio::test]
async fn malformed_and_oversize_answers_are_refused() {
    let broker = Broker::start();
    for body in ["", "[]", "null", "{", r#"{"KeyId":1}"#, r#"{"KeyId":"a","KeyId":"b"}"#] {
        broker.state.misbehave(move |_, _| (200, body.as_bytes().to_vec()));
        let error = data_key_error(&broker).await;
        assert!(matches!(error, ClientError::Json(_)), "{body}: {error}");
    }
    broker.state.misbehave(|_, _| (200, vec![b' '; MAX_RESPONSE_BYTES + 1]));
    let error = data_key_error(&broker).await;
    assert!(matches!(error, ClientError::ResponseTooLong { limit: MAX_RESPONSE_BYTES }), "{error}");
}

#[tokio::test]
async fn a_broker_that_the_ca_does_not_vouch_for_gets_no_request() {
    let broker = Broker::start();
    let (other_ca, _, _) = certify(&["localhost"]);
    let endpoint = format!("https://localhost:{}", broker.tls_address.port());
    let untrusted = TlsTrust::from_ca_pem(other_ca.as_bytes()).unwrap();
    let misnamed = trust(&broker).with_server_name("elsewhere");
    for trust in [untrusted, misnamed] {
        let client = client(&endpoint, TransportSecurity::Tls(trust)).unwrap();
        let error = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap_err();
        assert!(matches!(error, ClientError::Transport(TransportError::Handshake { .. })), "{error}");
        assert!(error.hint().unwrap().contains("CA file"));
    }
    let named = trust(&broker).with_server_name("nitro-key-broker");
    let client = client(&endpoint, TransportSecurity::Tls(named)).unwrap();
    client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap();
    assert_eq!(broker.received().len(), 1);
}

#[tokio::test]
async fn a_pinned_key_is_enough_and_no_other_key_passes() {
    let broker = Broker::start();
    let endpoint = format!("https://localhost:{}", broker.tls_address.port());
    let (right, wrong) = (KeyPin::of(&broker.tls_spki), KeyPin::of(b"another key"));
    let (other_ca, _, _) = certify(&["localhost"]);
    std::fs::write(broker.path("other-ca.pem"), other_ca).unwrap();
    let pinned = |pins: &[KeyPin]| TlsTrust::from_key_pins(pins.to_vec()).unwrap();
    let both = |ca: &Path, pin| TlsTrust::from_ca_file_and_key_pins(ca, vec![pin]).unwrap();
    for (trust, expected) in [
        (pinned(&[right]), true),
        (pinned(&[wrong, right]), true),
        (pinned(&[right]).with_server_name("elsewhere"), true),
        (pinned(&[wrong]), false),
        (both(&broker.ca_file, right), true),
        (both(&broker.ca_file, wrong), false),
        (both(&broker.path("other-ca.pem"), right), false),
        (both(&broker.ca_file, right).with_server_name("elsewhere"), false),
    ] {
        let client = client(&endpoint, TransportSecurity::Tls(trust)).unwrap();
        let result = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await;
        match result {
            Ok(_) => assert!(expected),
            Err(error) => {
                assert!(!expected, "{error}");
                assert!(matches!(error, ClientError::Transport(TransportError::Handshake { .. })), "{error}");
            }
        }
    }
    assert_eq!(broker.received().len(), 4);
}

/// Who has the pinned certificate, which everybody sees, but not its key, does not pass.
#[tokio::test]
async fn a_pin_is_of_a_key_that_the_other_side_holds() {
    let broker = Broker::start();
    let (_, imposter_spki, imposter) = certify(&["localhost"]);
    assert_ne!(imposter_spki, broker.tls_spki);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = tokio_rustls::TlsAcceptor::from(Arc::clone(&imposter)).accept(stream).await;
        }
    });
    let trust = TlsTrust::from_key_pins(vec![KeyPin::of(&broker.tls_spki)]).unwrap();
    let client = client(&endpoint, TransportSecurity::Tls(trust)).unwrap();
    let error = client.generate_data_key(&GenerateDataKey::aes_256("alias/files")).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport(TransportError::Handshake { .. })), "{error}");
}

#[test]
fn endpoint_and_security_must_go_together() {
    let broker = Broker::start();
    let error = client("https://localhost:1", TransportSecurity::InsecurePlaintext).unwrap_err();
    assert!(matches!(error, TransportError::HttpsWithoutCa), "{error}");
    let error = client("http://localhost:1", TransportSecurity::Tls(trust(&broker))).unwrap_err();
    assert!(matches!(error, TransportError::HttpWithCa), "{error}");
    let misnamed = TransportSecurity::Tls(trust(&broker).with_server_name("not a name"));
    assert!(matches!(client("vsock://3:8000", misnamed).unwrap_err(), TransportError::ServerName(_)));
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(TlsTrust::from_ca_pem(pem.as_bytes()).unwrap_err(), TransportError::Ca(_)));
    }
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_endpoint() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint: Endpoint = format!("http://{address}").parse().unwrap();
    let client =
        BrokerClient::new(endpoint, TransportSecurity::InsecurePlaintext, Arc::clone(&RECIPIENT)).unwrap();
    let error = client.decrypt(&Decrypt::blob(b"blob")).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to http://{address}: ")), "{error}");
    assert_eq!(error.hint(), Some("is the broker running and listening there?"));
}
