//! A stand-in for a broker: it speaks enough of the protocol to be asked, keeps no secrets, and can be told to
//! misbehave. It runs on a thread of its own and ends with the test.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::envelope::{Emitter, Encoding};

pub const KEY_ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HashMap<String, String>,
    pub json: Value,
    pub connection: usize,
}

/// What is answered in place of the honest answer.
pub type Misbehaviour = Box<dyn Fn(&Received, Value) -> (u16, Vec<u8>) + Send + Sync>;

/// What a ciphertext stands for.
struct Sealed {
    plaintext: Vec<u8>,
    context: Value,
}

#[derive(Default)]
pub struct State {
    sealed: Mutex<HashMap<Vec<u8>, Sealed>>,
    pub received: Mutex<Vec<Received>>,
    pub misbehaviour: Mutex<Option<Misbehaviour>>,
    pub close_after_each: Mutex<bool>,
    connections: AtomicUsize,
}

impl State {
    pub fn misbehave(&self, with: impl Fn(&Received, Value) -> (u16, Vec<u8>) + Send + Sync + 'static) {
        *self.misbehaviour.lock().unwrap() = Some(Box::new(with));
    }

    /// Changes the honest answer's JSON.
    pub fn alter(&self, with: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.misbehave(move |_, mut honest| {
            with(&mut honest);
            (200, serde_json::to_vec(&honest).unwrap())
        });
    }

    fn answer(&self, request: &Received) -> (u16, Vec<u8>) {
        let honest = self.answer_honestly(request);
        if let Some(misbehaviour) = &*self.misbehaviour.lock().unwrap() {
            return misbehaviour(request, honest.unwrap_or_default());
        }
        match honest {
            Ok(answer) => (200, serde_json::to_vec(&answer).unwrap()),
            Err((code, message)) => {
                (400, serde_json::to_vec(&json!({"__type": code, "message": message})).unwrap())
            }
        }
    }

    fn answer_honestly(&self, request: &Received) -> Result<Value, (&'static str, &'static str)> {
        let Received { headers, json, .. } = request;
        let document = json["Recipient"]["AttestationDocument"]
            .as_str()
            .ok_or(("AccessDeniedException", "no Recipient: plaintext is never released"))?;
        let spki = recipient_key(&BASE64.decode(document).unwrap());
        let context = json.get("EncryptionContext").cloned().unwrap_or(json!({}));
        if json["DryRun"] == true {
            return Err(("DryRunOperationException", "The request would have succeeded."));
        }
        let mut sealed = self.sealed.lock().unwrap();
        match headers["x-amz-target"].as_str() {
            "TrentService.GenerateDataKey" => {
                let length = match json["KeySpec"].as_str() {
                    Some("AES_256") => 32,
                    Some("AES_128") => 16,
                    _ => json["NumberOfBytes"].as_u64().unwrap() as usize,
                };
                let mut data_key = vec![0; length];
                aws_lc_rs::rand::fill(&mut data_key).unwrap();
                let mut blob = vec![0; 40];
                aws_lc_rs::rand::fill(&mut blob).unwrap();
                sealed.insert(blob.clone(), Sealed { plaintext: data_key.clone(), context });
                Ok(json!({
                    "KeyId": KEY_ARN,
                    "CiphertextBlob": BASE64.encode(blob),
                    "CiphertextForRecipient": BASE64.encode(envelope(&spki, &data_key)),
                }))
            }
            "TrentService.Decrypt" => {
                let blob = BASE64.decode(json["CiphertextBlob"].as_str().unwrap()).unwrap();
                match sealed.get(&blob) {
                    Some(sealed) if sealed.context == context => Ok(json!({
                        "KeyId": KEY_ARN,
                        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                        "CiphertextForRecipient": BASE64.encode(envelope(&spki, &sealed.plaintext)),
                    })),
                    _ => Err(("InvalidCiphertextException", "the ciphertext does not open")),
                }
            }
            "TrentService.GenerateRandom" => {
                let mut bytes = vec![0; json["NumberOfBytes"].as_u64().unwrap() as usize];
                aws_lc_rs::rand::fill(&mut bytes).unwrap();
                Ok(json!({"CiphertextForRecipient": BASE64.encode(envelope(&spki, &bytes))}))
            }
            "TrentService.GenerateDataKeyPair" => {
                let spec = json["KeyPairSpec"].as_str().unwrap();
                let (private_key, public_key) = key_pair(spec);
                Ok(json!({
                    "KeyId": KEY_ARN,
                    "KeyPairSpec": spec,
                    "PublicKey": BASE64.encode(public_key),
                    "PrivateKeyCiphertextBlob": BASE64.encode([9; 40]),
                    "CiphertextForRecipient": BASE64.encode(envelope(&spki, &private_key)),
                }))
            }
            "TrentService.DeriveSharedSecret" => Ok(json!({
                "KeyId": KEY_ARN,
                "KeyAgreementAlgorithm": "ECDH",
                "KeyOrigin": "AWS_KMS",
                "CiphertextForRecipient": BASE64.encode(envelope(&spki, &[5; 32])),
            })),
            _ => Err(("UnknownOperationException", "unknown operation")),
        }
    }
}

pub fn envelope(spki: &[u8], plaintext: &[u8]) -> Vec<u8> {
    Emitter::new(spki, Encoding::KeyService).seal(plaintext)
}

/// A new private key in PKCS#8 and its SubjectPublicKeyInfo.
pub fn key_pair(spec: &str) -> (Vec<u8>, Vec<u8>) {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
    use aws_lc_rs::signature as s;
    use aws_lc_rs::signature::KeyPair as _;
    let rsa = |size| {
        let key = PrivateDecryptingKey::generate(size).unwrap();
        let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        (private.as_ref().to_vec(), public.as_ref().to_vec())
    };
    let ecdsa = |algorithm| {
        let pair = s::EcdsaKeyPair::generate(algorithm).unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), public.as_ref().to_vec())
    };
    match spec {
        "RSA_2048" => rsa(KeySize::Rsa2048),
        "RSA_3072" => rsa(KeySize::Rsa3072),
        "RSA_4096" => rsa(KeySize::Rsa4096),
        "ECC_NIST_P256" => ecdsa(&s::ECDSA_P256_SHA256_ASN1_SIGNING),
        "ECC_NIST_P384" => ecdsa(&s::ECDSA_P384_SHA384_ASN1_SIGNING),
        "ECC_NIST_P521" => ecdsa(&s::ECDSA_P521_SHA512_ASN1_SIGNING),
        "ECC_SECG_P256K1" => ecdsa(&s::ECDSA_P256K1_SHA256_ASN1_SIGNING),
        "ECC_NIST_EDWARDS25519" => {
            let pair = s::Ed25519KeyPair::generate().unwrap();
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), public.as_ref().to_vec())
        }
        other => panic!("no such spec: {other}"),
    }
}

/// `public_key` of a document, unverified.
fn recipient_key(document: &[u8]) -> Vec<u8> {
    let mut cose = minicbor::Decoder::new(document);
    cose.array().unwrap();
    cose.bytes().unwrap();
    cose.map().unwrap();
    let mut payload = minicbor::Decoder::new(cose.bytes().unwrap());
    payload.map().unwrap();
    while payload.str().unwrap() != "public_key" {
        payload.skip().unwrap();
    }
    payload.bytes().unwrap().to_vec()
}

/// A running stand-in.
pub struct Broker {
    pub state: Arc<State>,
    pub address: SocketAddr,
    pub tls_address: SocketAddr,
    pub tls_socket: PathBuf,
    pub socket: PathBuf,
    pub ca_file: PathBuf,
    /// SubjectPublicKeyInfo of the TLS certificate.
    pub tls_spki: Vec<u8>,
    directory: tempfile::TempDir,
}

impl Broker {
    /// Listens on TCP and a Unix socket, each in the clear and with TLS; the certificate names `localhost` and
    /// `nitro-key-broker`.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        let (ca_pem, tls_spki, tls) = certify(&["localhost", "nitro-key-broker"]);
        std::fs::write(path("ca.pem"), ca_pem).unwrap();

        let state = Arc::new(State::default());
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tls_tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = std::os::unix::net::UnixListener::bind(path("broker.sock")).unwrap();
        let tls_unix = std::os::unix::net::UnixListener::bind(path("tls.sock")).unwrap();
        let broker = Self {
            state: Arc::clone(&state),
            address: tcp.local_addr().unwrap(),
            tls_address: tls_tcp.local_addr().unwrap(),
            tls_socket: path("tls.sock"),
            socket: path("broker.sock"),
            ca_file: path("ca.pem"),
            tls_spki,
            directory,
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                for listener in [&tcp, &tls_tcp] {
                    listener.set_nonblocking(true).unwrap();
                }
                for listener in [&unix, &tls_unix] {
                    listener.set_nonblocking(true).unwrap();
                }
                let tcp = TcpListener::from_std(tcp).unwrap();
                let tls_tcp = TcpListener::from_std(tls_tcp).unwrap();
                let unix = UnixListener::from_std(unix).unwrap();
                let tls_unix = UnixListener::from_std(tls_unix).unwrap();
                loop {
                    tokio::select! {
                        accepted = tcp.accept() => {
                            tokio::spawn(serve(accepted.unwrap().0, Arc::clone(&state)));
                        }
                        accepted = unix.accept() => {
                            tokio::spawn(serve(accepted.unwrap().0, Arc::clone(&state)));
                        }
                        accepted = tls_tcp.accept() => {
                            tokio::spawn(serve_tls(accepted.unwrap().0, tls.clone(), Arc::clone(&state)));
                        }
                        accepted = tls_unix.accept() => {
                            tokio::spawn(serve_tls(accepted.unwrap().0, tls.clone(), Arc::clone(&state)));
                        }
                    }
                }
            });
        });
        broker
    }

    /// A file in the stand-in's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }
}

/// A CA and a server certificate for `names`: the CA's PEM, the server's SubjectPublicKeyInfo and its configuration.
pub fn certify(names: &[&str]) -> (String, Vec<u8>, Arc<ServerConfig>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let spki = key.subject_public_key_info();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate =
        CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.into()))
        .unwrap();
    (ca_pem, spki, Arc::new(config))
}

async fn serve_tls<S>(stream: S, tls: Arc<ServerConfig>, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
        serve(stream, state).await;
    }
}

async fn serve<S>(stream: S, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = state.connections.fetch_add(1, Ordering::Relaxed);
    let keep_alive = !*state.close_after_each.lock().unwrap();
    let service = service_fn(|request| handle(request, Arc::clone(&state), connection));
    let _ =
        http1::Builder::new().keep_alive(keep_alive).serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(
    request: Request<Incoming>,
    state: Arc<State>,
    connection: usize,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&body).unwrap();
    let received = Received { headers, json, connection };
    let (status, body) = state.answer(&received);
    state.received.lock().unwrap().push(received);
    let response = Response::builder().status(status).header("x-amzn-RequestId", "request-1");
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}
