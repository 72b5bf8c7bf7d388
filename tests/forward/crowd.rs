//! Two hundred enclaves through the forwarder at once, while the broker behind it restarts twice. All three are processes
//! or tasks as in operation: `forward` and `serve` from the command line, each enclave with its own connection.
//!
//! It takes ten seconds; `NITRO_KEY_BROKER_CROWD_SECONDS` (`make crowd`) sets another time.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enclave_sample::cms::open_enveloped_data;
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::client::{Answer, Client, request};
use crate::broker::enclave::Enclave;
use crate::broker::policy_on_pcr0;
use crate::harness::counter;
use crate::process::{BrokerProcess, DataFolder, PROGRAM};

const ENCLAVES: u32 = 200;

/// An attempt that takes longer hangs. A connection waits 10 s for its target at most.
const HANGS_AFTER: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_enclaves_live_through_two_restarts_of_the_broker() {
    let seconds = std::env::var("NITRO_KEY_BROKER_CROWD_SECONDS").map_or(10, |text| text.parse().unwrap());
    let enclave = Arc::new(Enclave::new());
    let folder = DataFolder::init();
    let key: Arc<str> = folder.create_key(&policy_on_pcr0(&enclave.pcr(0))).into();
    let broker = BrokerProcess::start(&folder);
    let address = broker.address();
    let forward = ForwardProcess::start(&address.to_string());

    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let crowd: Vec<_> = (0..ENCLAVES)
        .map(|number| {
            let member = Member::new(number, &forward, &enclave, &key);
            tokio::spawn(member.decrypt_until(end))
        })
        .collect();

    let third = Duration::from_secs(seconds) / 3;
    sleep(third).await;
    broker.kill();
    sleep(Duration::from_secs(1)).await;
    let broker = BrokerProcess::start_on(&folder, address);
    sleep(third).await;
    broker.terminate();
    sleep(Duration::from_secs(1)).await;
    let _broker = BrokerProcess::start_on(&folder, address);

    let mut total = Tally::default();
    for member in crowd {
        let tally = member.await.unwrap();
        assert!(tally.answered > 0);
        total = total.plus(&tally);
    }
    let took = started.elapsed();
    let page = forward.metrics().await;
    let of = |name, label| counter(&page, name, label);
    eprintln!(
        "crowd: {ENCLAVES} connections, {:.1} s, 2 restarts: {} requests answered, {} attempts failed and were retried, \
         0 hung, slowest {:.1} s; forward: {} connections accepted, {} refused, {} completed, {} failed, \
         {} rounds of connecting failed, {} retried, {} bytes to the target, {} to enclaves",
        took.as_secs_f64(),
        total.answered,
        total.failed,
        total.slowest.as_secs_f64(),
        of("connections_accepted_total", ""),
        of("connections_refused_total", ""),
        of("connections_completed_total", ""),
        of("connections_failed_total", ""),
        of("connect_rounds_failed_total", ""),
        of("connect_retries_total", ""),
        of("bytes_total", "to_target"),
        of("bytes_total", "to_enclave"),
    );
    assert!(took < Duration::from_secs(seconds) + HANGS_AFTER);
    assert!(total.failed > 0, "the restarts hit nobody");
    assert_eq!(of("connections_refused_total", ""), 0);
    // Whoever came while the broker was down was kept waiting and not turned away.
    assert!(of("connect_rounds_failed_total", "reason=\"connect\"") > 0);
    assert!(of("connect_retries_total", "") > 0);
    assert_eq!(of("connections_failed_total", "reason=\"connect\""), 0);
    let ended = of("connections_completed_total", "") + of("connections_failed_total", "");
    assert_eq!(of("connections_accepted_total", ""), ended + of("connections_active", ""));
    forward.terminate();
}

/// What an enclave got.
#[derive(Default)]
struct Tally {
    answered: u64,
    failed: u64,
    slowest: Duration,
}

impl Tally {
    fn plus(&self, other: &Self) -> Self {
        Self {
            answered: self.answered + other.answered,
            failed: self.failed + other.failed,
            slowest: self.slowest.max(other.slowest),
        }
    }
}

/// One enclave of the crowd, with a data key of its own.
struct Member {
    socket: PathBuf,
    enclave: Arc<Enclave>,
    key: Arc<str>,
    context: Value,
    client: Option<Client>,
    tally: Tally,
}

impl Member {
    fn new(number: u32, forward: &ForwardProcess, enclave: &Arc<Enclave>, key: &Arc<str>) -> Self {
        Self {
            socket: forward.socket.clone(),
            enclave: Arc::clone(enclave),
            key: Arc::clone(key),
            context: json!({"enclave": number.to_string()}),
            client: None,
            tally: Tally::default(),
        }
    }

    /// Has its data key made, and opens it again and again: every answer must hold this enclave's own key.
    async fn decrypt_until(mut self, end: Instant) -> Tally {
        let recipient = self.enclave.recipient(UnixTime::now());
        let ask = json!({
            "KeyId": &*self.key, "KeySpec": "AES_256", "EncryptionContext": self.context, "Recipient": recipient,
        });
        let made = self.ask("GenerateDataKey", &ask).await;
        let data_key = self.open(&made);
        let ask = json!({
            "CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": self.context, "Recipient": recipient,
        });
        while Instant::now() < end {
            let decrypted = self.ask("Decrypt", &ask).await;
            assert!(self.open(&decrypted) == data_key, "another enclave's data key");
            sleep(Duration::from_millis(rand::random_range(200..600))).await;
        }
        self.tally
    }

    /// Asks until there is an answer, over a new connection after each failure.
    async fn ask(&mut self, operation: &str, members: &Value) -> Value {
        loop {
            let started = Instant::now();
            let attempt = timeout(HANGS_AFTER, self.attempt(operation, members)).await;
            let attempt = attempt.unwrap_or_else(|_| panic!("{operation} hangs"));
            self.tally.slowest = self.tally.slowest.max(started.elapsed());
            match attempt {
                Some(answer) => {
                    self.tally.answered += 1;
                    return answer.members();
                }
                None => {
                    self.tally.failed += 1;
                    self.client = None;
                    sleep(Duration::from_millis(rand::random_range(10..200))).await;
                }
            }
        }
    }

    /// `None` when the connection broke.
    async fn attempt(&mut self, operation: &str, members: &Value) -> Option<Answer> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::over_unix(&self.socket).await),
        };
        client.try_send(request(operation, members.to_string())).await.ok()
    }

    fn open(&self, members: &Value) -> Vec<u8> {
        let envelope = STANDARD.decode(members["CiphertextForRecipient"].as_str().unwrap()).unwrap();
        open_enveloped_data(&envelope, self.enclave.key()).unwrap().to_vec()
    }
}

/// A running `forward` from a Unix socket, killed when dropped.
struct ForwardProcess {
    child: Child,
    _folder: TempDir,
    socket: PathBuf,
    metrics: String,
}

impl ForwardProcess {
    fn start(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("vsock_8443");
        let route = format!("unix:{}={target}", socket.display());
        let mut child = Command::new(PROGRAM)
            .args(["forward", "--metrics", "127.0.0.1:0", "--route", &route])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), format!("forwarding unix:{} to {target}", socket.display()));
        let line = lines.next().unwrap();
        let metrics = line.strip_prefix("metrics on http://").unwrap().strip_suffix("/metrics").unwrap();
        Self { child, socket, metrics: metrics.to_owned(), _folder: folder }
    }

    async fn metrics(&self) -> String {
        let mut client = Client::over_tcp(self.metrics.parse().unwrap()).await;
        let ask = hyper::Request::get("/metrics").header("host", "h").body(Default::default()).unwrap();
        String::from_utf8(client.send(ask).await.body.to_vec()).unwrap()
    }

    fn terminate(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(!Path::new(&self.socket).exists());
    }
}

impl Drop for ForwardProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
