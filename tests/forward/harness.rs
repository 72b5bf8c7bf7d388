//! A forwarder in this process with one route from a Unix socket, and targets to forward to.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nitro_key_broker::forward::{
    ForwardConfig, ForwardLimits, Forwarder, Metrics, Resolve, Route, SystemResolver,
};
use nitro_key_broker::server::ListenAddress;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine, and shorter than anybody waits.
pub const SOON: Duration = Duration::from_secs(30);

pub struct TestForwarder {
    folder: TempDir,
    metrics: Arc<Metrics>,
    metrics_address: String,
    shutdown: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestForwarder {
    pub async fn to(target: &str) -> Self {
        Self::with(target, ForwardLimits::default(), Arc::new(SystemResolver::default())).await
    }

    pub async fn with_limits(target: &str, limits: ForwardLimits) -> Self {
        Self::with(target, limits, Arc::new(SystemResolver::default())).await
    }

    pub async fn with(target: &str, limits: ForwardLimits, resolver: Arc<dyn Resolve>) -> Self {
        raise_open_file_limit();
        let folder = tempfile::tempdir().unwrap();
        let listen = ListenAddress::Unix { path: folder.path().join("vsock_8443"), mode: 0o600 };
        let routes = vec![Route { listen, target: target.parse().unwrap() }];
        let metrics = Some("127.0.0.1:0".parse().unwrap());
        let bound = Forwarder::bind(ForwardConfig { routes, limits, metrics }, resolver).await.unwrap();
        let metrics = bound.metrics();
        let metrics_address = bound.metrics_address().unwrap().to_string();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(bound.run(async move { drop(stopped.await) }));
        let metrics_address = metrics_address.strip_prefix("tcp:").unwrap().to_owned();
        Self { folder, metrics, metrics_address, shutdown, running }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("vsock_8443")
    }

    /// What an enclave does first.
    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    /// The sum of a counter over its labels, or over those that have `label` in them.
    pub fn counter(&self, name: &str, label: &str) -> u64 {
        counter(&self.metrics.to_string(), name, label)
    }

    /// Waits until a counter has come to `value`.
    pub async fn wait_for(&self, name: &str, label: &str, value: u64) {
        let reached = async {
            while self.counter(name, label) != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(SOON, reached).await;
        assert!(waited.is_ok(), "{name} {label} did not come to {value}:\n{}", self.metrics);
    }

    /// The whole answer of the metrics listener to a request.
    pub async fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.metrics_address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    /// Asks it to end, as SIGTERM does; yields what ends when it has.
    pub fn shut_down(self) -> JoinHandle<()> {
        self.shutdown.send(()).unwrap();
        self.running
    }
}

pub fn counter(page: &str, name: &str, label: &str) -> u64 {
    let name = format!("nitro_key_broker_forward_{name}{{");
    let samples = page.lines().filter(|line| line.starts_with(&name) && line.contains(label));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// Many connections of this process take several files each.
fn raise_open_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A port of the loopback on which nobody listens, for now.
pub async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A target that gives back what it gets, until dropped.
pub struct Echo {
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Echo {
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(echo(stream));
            }
        });
        Self { address, serving }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn echo(mut stream: TcpStream) {
    let (mut reader, mut writer) = stream.split();
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}

/// Sends `message` and waits until it is back.
pub async fn ping(stream: &mut UnixStream, message: &[u8]) {
    try_ping(stream, message).await.unwrap();
}

pub async fn try_ping(stream: &mut UnixStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(message).await?;
    let mut back = vec![0; message.len()];
    timeout(SOON, stream.read_exact(&mut back)).await.unwrap()?;
    assert_eq!(back, message);
    Ok(())
}

/// Answers with the next of its answers each time it is asked, with the last one from then on.
pub struct Script(Mutex<VecDeque<io::Result<Vec<IpAddr>>>>);

impl Script {
    pub fn new(answers: impl IntoIterator<Item = io::Result<Vec<IpAddr>>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.into_iter().collect())))
    }
}

#[async_trait]
impl Resolve for Script {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        match answers.pop_front().unwrap() {
            Ok(last) if answers.is_empty() => {
                answers.push_back(Ok(last.clone()));
                Ok(last)
            }
            answer => answer,
        }
    }
}

/// The forwarder's next connection to this target.
pub async fn accepted(listener: &TcpListener) -> TcpStream {
    timeout(SOON, listener.accept()).await.unwrap().unwrap().0
}
