#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]
//! The server over real sockets: limits, timeouts, TLS, drain, and that one bad connection stays alone.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::body::Bytes;
use nitro_key_broker::server::tls::ServerTls;
use nitro_key_broker::server::tls_identity::{DEFAULT_NAMES, TlsIdentity, mint};
use nitro_key_broker::server::{
    BodyError, Handler, Limits, ListenAddress, ListenerConfig, LocalAddress, PeerAddress, ReceivedRequest,
    Response, Server, ServerConfig, ServerError,
};
use nitro_key_broker::time::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

const GET: &str = "GET / HTTP/1.1\r\nHost: broker\r\n\r\n";

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let server = TestServer::start(Limits::default()).await;
    let mut client = server.connect().await;
    for body in ["first", "second"] {
        let answer = client.post("/echo", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
    }
    // Two at once on the same connection are answered in order.
    client.send(format!("{}{}", post("/echo", "third"), post("/echo", "fourth"))).await;
    assert_eq!(client.answer().await.body, "third");
    assert_eq!(client.answer().await.body, "fourth");
    server.stop().await;
}

#[tokio::test]
async fn the_handler_sees_method_target_headers_and_peer() {
    let server = TestServer::start(Limits::default()).await;
    let mut client = server.connect().await;
    let local = client.stream.local_addr().unwrap();
    client
        .send("PATCH /what?a=%2F HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.body, format!("PATCH /what?a=%2F [\"1\", \"2\"] tcp:{local} tls=false"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_the_handlers_to_refuse() {
    let server = TestServer::start(Limits { max_body_bytes: 100, ..Limits::default() }).await;
    let mut client = server.connect().await;
    assert_eq!(client.post("/echo", &"x".repeat(100)).await.status, 200);

    let refused = client.post("/echo", &"x".repeat(101)).await;
    assert_eq!((refused.status, refused.body.as_str()), (413, "the body is longer than 100 bytes"));
    // Read to its end, so the connection goes on: here with a body whose length is not declared.
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..3 {
        client.send(format!("28\r\n{}\r\n", "x".repeat(0x28))).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 413);
    assert_eq!(client.post("/echo", "short").await.body, "short");
}

#[tokio::test]
async fn an_oversize_body_need_not_be_sent_to_be_refused() {
    let server = TestServer::start(Limits::default()).await;
    for declared in ["Content-Length: 1048577\r\nExpect: 100-continue", "Content-Length: 1099511627776"] {
        let mut client = server.connect().await;
        client.send(format!("POST /echo HTTP/1.1\r\nHost: h\r\n{declared}\r\n\r\n")).await;
        let refused = client.answer().await;
        assert_eq!((refused.status, refused.header("connection")), (413, Some("close")), "{declared}");
        assert!(client.is_closed().await);
    }
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 100);
    client.send("hello").await;
    assert_eq!(client.answer().await.body, "hello");
}

#[tokio::test]
async fn a_body_that_does_not_come_times_out() {
    let limit = Duration::from_millis(150);
    let server = TestServer::start(Limits { body_timeout: limit, ..Limits::default() }).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf").await;
    let refused = client.answer().await;
    assert_eq!((refused.status, refused.body.as_str()), (408, "the body did not arrive within 150ms"));
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_wrongly_framed_body_is_told_apart() {
    let server = TestServer::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    let refused = client.answer().await;
    assert_eq!((refused.status, refused.body.as_str()), (400, "the body broke off or is wrongly framed"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn slow_headers_and_idle_connections_are_closed() {
    let limit = Duration::from_millis(200);
    let server = TestServer::start(Limits { head_timeout: limit, ..Limits::default() }).await;
    let (mut slow, mut silent, mut idle) =
        (server.connect().await, server.connect().await, server.connect().await);
    assert_eq!(idle.post("/echo", "x").await.status, 200);

    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        // A byte now and then must not put the deadline off.
        for byte in GET.bytes().cycle().filter(|byte| *byte != b'\r' && *byte != b'\n').take(40) {
            if slow.stream.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(25)).await;
        }
        slow
    });
    assert!(silent.is_closed().await);
    assert!(idle.is_closed().await);
    assert!((limit..limit * 4).contains(&start.elapsed()), "{:?}", start.elapsed());
    let mut slow = timeout(Duration::from_secs(5), dripping).await.unwrap().unwrap();
    assert!(start.elapsed() < limit * 4, "the slow one was let drip for {:?}", start.elapsed());
    assert!(slow.is_closed().await);
    assert_eq!(server.connect().await.post("/echo", "x").await.status, 200);
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_count() {
    let server = TestServer::start(Limits { max_headers: 8, ..Limits::default() }).await;
    let long = format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(17 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(9));
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20 * 1024));
    for head in [long, many, target] {
        let mut client = server.connect().await;
        client.send(&head).await;
        assert_eq!(client.answer().await.status, 431, "{}", &head[..40]);
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn garbage_on_one_connection_leaves_the_others_alone() {
    let server = TestServer::start(Limits::default()).await;
    let mut good = server.connect().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
    ] {
        let mut bad = server.connect().await;
        bad.stream.write_all(garbage).await.unwrap();
        let reply = bad.read_to_close().await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{reply}");
        assert_eq!(good.post("/echo", "still here").await.body, "still here");
    }
    assert_eq!(server.handler.handled.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn a_panic_answers_500_and_nothing_else_breaks() {
    let server = TestServer::start(Limits { max_connections: 2, ..Limits::default() }).await;
    let mut client = server.connect().await;
    let mut other = server.connect().await;
    for _ in 0..4 {
        let answer = client.post("/panic", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (500, "internal error"));
    }
    assert_eq!(client.post("/echo", "x").await.status, 200);
    assert_eq!(other.post("/echo", "x").await.status, 200);
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let server = TestServer::start(Limits { max_connections: 2, ..Limits::default() }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!(first.post("/echo", "x").await.status, 200);
    assert_eq!(second.post("/echo", "x").await.status, 200);

    let mut third = server.connect().await;
    third.send(post("/echo", "third")).await;
    assert!(timeout(Duration::from_millis(200), third.answer()).await.is_err(), "the third was served");
    drop(first);
    assert_eq!(third.answer().await.body, "third");
}

#[tokio::test]
async fn a_request_outlives_its_client_and_keeps_its_place() {
    let server = TestServer::start(Limits { max_connections: 1, ..Limits::default() }).await;
    let mut leaving = server.connect().await;
    leaving.send(post("/wait", "")).await;
    server.handler.until_waiting().await;
    drop(leaving);

    let mut next = server.connect().await;
    next.send(post("/echo", "next")).await;
    assert!(timeout(Duration::from_millis(200), next.answer()).await.is_err(), "the place was given away");
    server.handler.go_on.notify_one();
    assert_eq!(next.answer().await.body, "next");
    assert_eq!(server.handler.waited.load(Ordering::SeqCst), 1, "the request was dropped with its client");
}

#[tokio::test]
async fn a_client_that_reads_no_answers_loses_its_place() {
    let limit = Duration::from_millis(200);
    let server =
        TestServer::start(Limits { max_connections: 1, write_stall_timeout: limit, ..Limits::default() })
            .await;
    let mut deaf = server.connect().await;
    deaf.send(post("/big", "")).await;
    let mut next = server.connect().await;
    assert_eq!(next.post("/echo", "next").await.body, "next");
}

#[tokio::test]
async fn drain_finishes_requests_in_flight() {
    let server = TestServer::start(Limits::default()).await;
    let mut busy = server.connect().await;
    let mut idle = server.connect().await;
    let mut fresh = server.connect().await;
    assert_eq!(idle.post("/echo", "x").await.status, 200);
    busy.send(post("/wait", "")).await;
    server.handler.until_waiting().await;

    let address = server.address;
    let handler = Arc::clone(&server.handler);
    let stopped = server.shut_down();
    assert!(idle.is_closed().await);
    assert!(fresh.is_closed().await);
    assert!(TcpStream::connect(address).await.is_err(), "still accepting");
    assert!(!stopped.is_finished(), "did not wait for the request in flight");

    handler.go_on.notify_one();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "waited"));
    assert!(busy.is_closed().await);
    timeout(Duration::from_secs(5), stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn drain_breaks_off_what_does_not_finish() {
    let limit = Duration::from_millis(200);
    let server = TestServer::start(Limits { drain_timeout: limit, ..Limits::default() }).await;
    let mut stuck = server.connect().await;
    stuck.send(post("/wait", "")).await;
    server.handler.until_waiting().await;
    let handler = Arc::clone(&server.handler);

    let start = Instant::now();
    timeout(Duration::from_secs(5), server.shut_down()).await.unwrap().unwrap();
    assert!((limit..limit * 5).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(stuck.is_closed().await);
    assert_eq!(handler.waited.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&handler), 1, "a task is left behind");
}

#[tokio::test]
async fn tls_with_the_pinned_authority() {
    let identity = identity();
    let server = TestServer::start_tls(&identity, Limits::default()).await;
    for name in ["localhost", "127.0.0.1", "::1", "nitro-key-broker"] {
        let mut client = server.connect_tls(&identity, name, &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(client.stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        client.send(GET).await;
        assert!(client.answer().await.body.ends_with("tls=true"));
        assert_eq!(client.post("/echo", "again").await.body, "again");
    }
    // No ALPN at all is fine; only protocols that are not spoken here are not.
    server.connect_tls(&identity, "localhost", &[]).await.unwrap();
    server.connect_tls(&identity, "localhost", &[b"h2"]).await.unwrap_err();
    server.connect_tls(&identity, "elsewhere", &[]).await.unwrap_err();
    server.connect_tls(&self::identity(), "localhost", &[]).await.unwrap_err();
    server.stop().await;
}

#[tokio::test]
async fn tls_1_2_is_spoken_too() {
    let identity = identity();
    let server = TestServer::start_tls(&identity, Limits::default()).await;
    let connector = client_tls(&identity, &[], &[&rustls::version::TLS12]);
    let stream = TcpStream::connect(server.address).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    assert_eq!(Client { stream }.post("/echo", "x").await.body, "x");
}

#[tokio::test]
async fn tls_handshakes_are_bounded_and_plain_text_is_refused() {
    let identity = identity();
    let limit = Duration::from_millis(200);
    let server =
        TestServer::start_tls(&identity, Limits { handshake_timeout: limit, ..Limits::default() }).await;
    let (mut silent, mut plain) = (server.connect().await, server.connect().await);
    plain.send(GET).await;
    assert!(!plain.read_to_close().await.starts_with("HTTP"));
    let start = Instant::now();
    assert!(silent.is_closed().await);
    assert!(start.elapsed() < limit * 4);
    let mut good = server.connect_tls(&identity, "localhost", &[b"http/1.1"]).await.unwrap();
    assert_eq!(good.post("/echo", "x").await.body, "x");
}

#[tokio::test]
async fn unix_sockets_have_their_mode_and_name_their_peer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let server = TestServer::start_on(vec![unix(&path)], Limits::default()).await;
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);

    let mut client = Client { stream: UnixStream::connect(&path).await.unwrap() };
    client.send(GET).await;
    let expected = format!("unix:pid={},uid={} tls=false", std::process::id(), metadata.uid());
    assert!(client.answer().await.body.ends_with(&expected));
    server.stop().await;
    assert!(!path.exists(), "the socket is left behind");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale socket");
    let server = TestServer::start_on(vec![unix(&path)], Limits::default()).await;

    let error = bind(vec![unix(&path)]).await.unwrap_err();
    assert!(matches!(&error, ServerError::SocketInUse { path: at } if *at == path), "{error:?}");
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    let error = bind(vec![unix(&file)]).await.unwrap_err();
    assert!(matches!(&error, ServerError::NotASocket { path: at } if *at == file), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");
    let nowhere = directory.path().join("no/such/directory");
    assert!(matches!(bind(vec![unix(&nowhere)]).await.unwrap_err(), ServerError::BindUnix { .. }));

    let mut client = Client { stream: UnixStream::connect(&path).await.unwrap() };
    assert_eq!(client.post("/echo", "x").await.body, "x");
    // Whoever has taken the path meanwhile keeps it.
    std::fs::remove_file(&path).unwrap();
    let successor = UnixListener::bind(&path).unwrap();
    server.stop().await;
    assert!(path.exists());
    drop(successor);
}

#[tokio::test]
async fn a_failed_bind_leaves_no_socket_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(vec![unix(&path), tcp(address)]).await.unwrap_err();
    assert!(matches!(error, ServerError::BindTcp { address: at, .. } if at == address));
    assert!(!path.exists());
}

#[tokio::test]
async fn plain_http_stays_on_loopback_unless_told() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = bind(vec![tcp(address)]).await.unwrap_err();
        assert!(matches!(error, ServerError::PlainNonLoopback { address: at } if at == address), "{error:?}");
    }
    bind(vec![tcp("127.0.0.2:0".parse().unwrap())]).await.unwrap();
    bind(vec![tcp("[::ffff:127.0.0.1]:0".parse().unwrap())]).await.unwrap();
}

#[tokio::test]
async fn impossible_limits_are_refused() {
    assert!(matches!(bind(vec![]).await.unwrap_err(), ServerError::NoListeners));
    for (limits, name) in [
        (Limits { max_connections: 0, ..Limits::default() }, "max_connections"),
        (Limits { max_head_bytes: 8191, ..Limits::default() }, "max_head_bytes"),
        (Limits { max_headers: 0, ..Limits::default() }, "max_headers"),
    ] {
        let config = ServerConfig { listeners: vec![tcp(loopback())], limits };
        let error = Server::bind(config).await.unwrap_err();
        assert!(matches!(error, ServerError::LimitTooLow { name: at, .. } if at == name), "{error:?}");
    }
}

/// TCP, a Unix socket under TLS, and vsock where the kernel has it; nothing can dial a vsock port of its own host here.
#[tokio::test]
async fn all_kinds_of_listener_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let identity = identity();
    let mut listeners = vec![tcp(loopback()), ListenerConfig { tls: Some(tls(&identity)), ..unix(&path) }];
    let has_vsock = Path::new("/dev/vsock").exists() && bind(vec![vsock()]).await.is_ok();
    if has_vsock {
        listeners.push(vsock());
    }
    let server = TestServer::start_on(listeners, Limits::default()).await;
    assert_eq!(server.addresses[1], LocalAddress::Unix(path.clone()));
    if has_vsock {
        let LocalAddress::Vsock { cid, port } = server.addresses[2] else { panic!("{:?}", server.addresses) };
        assert_eq!(cid, ListenAddress::VMADDR_CID_ANY);
        assert_ne!(port, u32::MAX, "the kernel chose no port");
    }

    assert_eq!(server.connect().await.post("/echo", "tcp").await.body, "tcp");
    let stream = UnixStream::connect(&path).await.unwrap();
    let connector = client_tls(&identity, &[b"http/1.1"], rustls::ALL_VERSIONS);
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let mut client = Client { stream };
    client.send(GET).await;
    let body = client.answer().await.body;
    assert!(body.contains("unix:") && body.ends_with("tls=true"), "{body}");
    server.stop().await;
}

/// Answers by path; everything else describes the request.
#[derive(Default)]
struct TestHandler {
    handled: AtomicUsize,
    waiting: Notify,
    go_on: Notify,
    waited: AtomicUsize,
}

impl TestHandler {
    async fn until_waiting(&self) {
        timeout(Duration::from_secs(5), self.waiting.notified()).await.unwrap();
    }
}

impl Handler for TestHandler {
    async fn handle(&self, request: ReceivedRequest) -> Response {
        self.handled.fetch_add(1, Ordering::SeqCst);
        let body = match request.body {
            Ok(body) => body,
            Err(error) => {
                let status = match error {
                    BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                    BodyError::Timeout { .. } => StatusCode::REQUEST_TIMEOUT,
                    BodyError::Incomplete => StatusCode::BAD_REQUEST,
                };
                return answer(status, error.to_string());
            }
        };
        match request.uri.path() {
            "/echo" => answer(StatusCode::OK, body),
            "/panic" => panic!("the handler was told to"),
            "/wait" => {
                self.waiting.notify_one();
                self.go_on.notified().await;
                self.waited.fetch_add(1, Ordering::SeqCst);
                answer(StatusCode::OK, "waited")
            }
            "/big" => answer(StatusCode::OK, vec![0; 64 * 1024 * 1024]),
            _ => {
                let values: Vec<_> =
                    request.headers.get_all("x-a").iter().map(|v| v.to_str().unwrap()).collect();
                let peer = &request.peer;
                if let PeerAddress::Vsock { .. } = peer.address {
                    return answer(StatusCode::NOT_IMPLEMENTED, "");
                }
                let text = format!(
                    "{} {} {values:?} {} tls={}",
                    request.method, request.uri, peer.address, peer.tls
                );
                answer(StatusCode::OK, text)
            }
        }
    }

    fn answer_to_panic(&self) -> Response {
        answer(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// A running server, its handler and the switch that stops it.
struct TestServer {
    handler: Arc<TestHandler>,
    addresses: Vec<LocalAddress>,
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestServer {
    async fn start(limits: Limits) -> Self {
        Self::start_on(vec![tcp(loopback())], limits).await
    }

    async fn start_tls(identity: &TlsIdentity, limits: Limits) -> Self {
        Self::start_on(vec![ListenerConfig { tls: Some(tls(identity)), ..tcp(loopback()) }], limits).await
    }

    async fn start_on(listeners: Vec<ListenerConfig>, limits: Limits) -> Self {
        let bound = Server::bind(ServerConfig { listeners, limits }).await.unwrap();
        let addresses = bound.local_addresses();
        let address = match addresses[0] {
            LocalAddress::Tcp(address) => address,
            _ => loopback(),
        };
        let handler = Arc::new(TestHandler::default());
        let (shutdown, signal) = oneshot::channel();
        let running = tokio::spawn(bound.run(Arc::clone(&handler), async {
            let _ = signal.await;
        }));
        Self { handler, addresses, address, shutdown, running }
    }

    async fn connect(&self) -> Client<TcpStream> {
        Client { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    async fn connect_tls(
        &self,
        identity: &TlsIdentity,
        name: &'static str,
        alpn: &[&[u8]],
    ) -> std::io::Result<Client<tokio_rustls::client::TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(self.address).await?;
        let connector = client_tls(identity, alpn, rustls::ALL_VERSIONS);
        let stream = connector.connect(ServerName::try_from(name).unwrap(), stream).await?;
        Ok(Client { stream })
    }

    fn shut_down(self) -> JoinHandle<()> {
        self.shutdown.send(()).unwrap();
        self.running
    }

    async fn stop(self) {
        timeout(Duration::from_secs(5), self.shut_down()).await.expect("the server stops").unwrap();
    }
}

async fn bind(listeners: Vec<ListenerConfig>) -> Result<Vec<LocalAddress>, ServerError> {
    let config = ServerConfig { listeners, limits: Limits::default() };
    Server::bind(config).await.map(|bound| bound.local_addresses())
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn tcp(address: SocketAddr) -> ListenerConfig {
    ListenerConfig { address: ListenAddress::Tcp { address, allow_plain_non_loopback: false }, tls: None }
}

fn unix(path: &Path) -> ListenerConfig {
    let (path, mode) = (PathBuf::from(path), ListenAddress::DEFAULT_UNIX_MODE);
    ListenerConfig { address: ListenAddress::Unix { path, mode }, tls: None }
}

fn vsock() -> ListenerConfig {
    let address = ListenAddress::Vsock { cid: ListenAddress::VMADDR_CID_ANY, port: u32::MAX };
    ListenerConfig { address, tls: None }
}

fn identity() -> TlsIdentity {
    mint(&DEFAULT_NAMES, UnixTime::now()).unwrap()
}

fn tls(identity: &TlsIdentity) -> ServerTls {
    ServerTls::from_pem(identity.server_certificate_pem.as_bytes(), identity.server_key_pem.as_bytes())
        .unwrap()
}

fn client_tls(
    identity: &TlsIdentity,
    alpn: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(identity.ca_certificate_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// A client of raw bytes.
#[derive(Debug)]
struct Client<S> {
    stream: S,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, text: impl AsRef<str>) {
        self.stream.write_all(text.as_ref().as_bytes()).await.unwrap();
    }

    async fn post(&mut self, path: &str, body: &str) -> Answer {
        self.send(post(path, body)).await;
        timeout(Duration::from_secs(5), self.answer()).await.expect("an answer")
    }

    /// Reads byte by byte, so that nothing of a next answer is lost.
    async fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("the connection is open"));
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let len = answer.header("content-length").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// Whatever still comes until the server closes, as text.
    async fn read_to_close(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset closes as well.
        let _ = timeout(Duration::from_secs(5), self.stream.read_to_end(&mut rest))
            .await
            .expect("closed in time");
        String::from_utf8_lossy(&rest).into_owned()
    }

    async fn is_closed(&mut self) -> bool {
        self.read_to_close().await.is_empty()
    }
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: broker\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
