//! A real PostgreSQL server, made and started by the test. One that is not there fails the test:
//! `scripts/install-prerequisites postgres` installs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nitro_key_broker::audit::chain::Begin;
use nitro_key_broker::audit::reader::{Line, Place};
use nitro_key_broker::audit::sink::SinkSpec;
use nitro_key_broker::audit::verify::{Expectations, verify};
use nitro_key_broker::audit::{AuditError, AuditLog, AuditSettings, Rotation};
use serde_json::json;

use crate::broker::enclave::Enclave;
use crate::broker::{NOW, Setup, TestBroker, open_policy};
use crate::{head, write};

/// The account that Debian's package makes: a server refuses to run as root.
const ACCOUNT: &str = "postgres";

/// A server on a socket in a folder of its own, with synchronous commits as they are by default.
struct Server {
    folder: tempfile::TempDir,
    running: Option<Child>,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        if is_root() {
            assert!(Command::new("chown").arg(ACCOUNT).arg(folder.path()).status().unwrap().success());
        }
        let data = folder.path().join("data");
        let mut init = as_account(&program("initdb"));
        init.args(["--auth", "trust", "--username", ACCOUNT, "--no-sync", "-D"]).arg(&data);
        let done = init.current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut server = Self { folder, running: None };
        server.run();
        server
    }

    fn run(&mut self) {
        let mut serve = as_account(&program("postgres"));
        serve.arg("-D").arg(self.folder.path().join("data"));
        serve.arg("-k").arg(self.folder.path()).args(["-c", "listen_addresses="]);
        serve.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(serve.spawn().unwrap());
        let begin = Instant::now();
        while self.try_query("SELECT 1").is_none() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the server does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a crash: no goodbye to anybody.
    fn stop(&mut self) {
        let stop = |mode: &str| {
            let mut stop = as_account(&program("pg_ctl"));
            stop.args(["stop", "-m", mode, "-w", "-D"]).arg(self.folder.path().join("data"));
            stop.current_dir(self.folder.path()).output().unwrap()
        };
        let done = stop("immediate");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        self.running.take().unwrap().wait().unwrap();
    }

    fn url(&self) -> String {
        format!("postgres://{ACCOUNT}@localhost/postgres?host={}", self.folder.path().display())
    }

    fn sink(&self) -> Box<dyn nitro_key_broker::audit::sink::AuditSink> {
        self.url().parse::<SinkSpec>().unwrap().build().unwrap().unwrap()
    }

    fn query(&self, sql: &str) -> String {
        self.try_query(sql).unwrap_or_else(|| panic!("{sql}"))
    }

    /// What a statement yields, by a client that shares no code with the broker's.
    fn try_query(&self, sql: &str) -> Option<String> {
        let mut psql = as_account(&program("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--host"]).arg(self.folder.path());
        psql.args(["--username", ACCOUNT, "--command", sql, "postgres"]).current_dir(self.folder.path());
        let done = psql.output().unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
    }

    /// The lines of the table; they must be a whole chain.
    fn lines(&self) -> Vec<String> {
        // Each line has its line end, and the last loses one to psql.
        let text = self.query("SELECT line FROM nitro_key_broker_audit ORDER BY sequence");
        let lines: Vec<String> =
            text.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
        let place = Place { file: Path::new("table").into(), line: 0, offset: 0 };
        let read =
            lines.iter().map(|line| Ok(Line { place: place.clone(), bytes: line.clone().into_bytes() }));
        let expectations = Expectations { checkpoints: Vec::new(), begin: Begin::AtRecord0 };
        verify(read, expectations, &mut |_| {}).unwrap().unwrap();
        lines
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_account(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The newest that is installed, where Debian puts it, or on the path.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut installed: Vec<PathBuf> = versions
        .map(|version| version.unwrap().path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    installed.sort();
    installed.pop().unwrap_or_else(|| name.into())
}

fn start(file: Option<PathBuf>, server: &Server) -> Result<AuditLog, AuditError> {
    // These records are dated into the past, and the file is not put aside for that.
    let rotation = Rotation { max_age: Duration::MAX, ..Rotation::default() };
    AuditLog::start(AuditSettings { file, rotation, sinks: vec![server.sink()], ..AuditSettings::default() })
}

#[tokio::test]
async fn rows_are_the_lines_of_the_file() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let log = start(Some(path.clone()), &server).unwrap();
    write(&log, 0..50).await;
    log.finish().await;
    assert_eq!(server.lines().concat(), std::fs::read_to_string(&path).unwrap());
    let denied = "SELECT count(*) FROM nitro_key_broker_audit
        WHERE line::jsonb #>> '{additionalEventData,decision,outcome}' = 'denied'";
    assert_eq!(server.query(denied).trim(), "13", "and can be asked as JSON");
}

#[tokio::test]
async fn a_database_alone_is_durable_and_goes_on_over_a_restart() {
    let server = Server::start();
    for restart in 0..3 {
        let log = start(None, &server).unwrap();
        write(&log, restart * 10..restart * 10 + 10).await;
        // The record is there when the call returns.
        assert_eq!(server.lines().len() as u64, restart * 10 + 10);
        log.finish().await;
        drop(log);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn without_the_database_no_key_is_released_and_with_it_again_there_is() {
    let mut server = Server::start();
    let setup =
        Setup { audit_path: Some("/dev/full".into()), audit_sinks: vec![server.sink()], ..Setup::default() };
    let broker = TestBroker::start_with(setup).await;
    let (key, enclave) = (broker.create_key(&open_policy()).await, Enclave::new());
    let ask = json!({"KeyId": key.arn, "KeySpec": "AES_256", "Recipient": enclave.recipient(NOW)});
    let mut client = broker.connect().await;
    let answer = client.call("GenerateDataKey", &ask).await;
    answer.members();
    assert!(server.lines()[0].contains(answer.request_id()), "in the table before the answer");

    server.stop();
    let answer = client.call("GenerateDataKey", &ask).await;
    assert!(answer.refusal().starts_with("500 KMSInternalException"), "{}", answer.refusal());

    server.run();
    let answer = client.call("GenerateDataKey", &ask).await;
    answer.members();
    // Also the record of the request that was refused: it was on its way, and says more than happened, not less.
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_database_that_was_away_gets_what_it_has_missed() {
    let mut server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let log = start(Some(path.clone()), &server).unwrap();
    write(&log, 0..5).await;
    log.finish().await;
    drop(log);
    tokio::time::sleep(Duration::from_millis(200)).await;

    // While it is away, the file stands alone.
    server.stop();
    let log = start(Some(path.clone()), &server).unwrap();
    write(&log, 5..10).await;
    drop(log);
    tokio::time::sleep(Duration::from_millis(200)).await;

    // A start with the database gives it what the file has, and what comes while it is away again follows later.
    server.run();
    let log = start(Some(path.clone()), &server).unwrap();
    assert_eq!(server.lines().len(), 10);
    server.stop();
    write(&log, 10..15).await;
    server.run();
    for _ in 0..100 {
        if server.lines().len() == 15 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(server.lines().concat() == std::fs::read_to_string(&path).unwrap());
    assert_eq!(head(&path).next_sequence(), 15);
}

#[tokio::test]
async fn a_log_has_one_writer_and_its_rows_are_not_replaced() {
    let server = Server::start();
    let first = start(None, &server).unwrap();
    write(&first, 0..3).await;
    let second = start(None, &server).unwrap();
    let error = second.record(b"{\"second\":true}\n".to_vec()).await.unwrap_err();
    assert!(matches!(error, AuditError::Write(_)), "{error}");
    assert_eq!(server.lines().len(), 3);
    write(&first, 3..4).await;
    assert_eq!(server.lines().len(), 4);
}
