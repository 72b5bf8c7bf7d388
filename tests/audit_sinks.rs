//! The audit log's sinks: the same chain in all, no answer without a durable one, and none that holds requests up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/audit_log.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod audit_log;
#[path = "support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "audit_sinks/failing.rs"]
mod failing;
#[cfg(feature = "postgres")]
#[path = "audit_sinks/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "others use the rest")]
mod process;
#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "audit_sinks/syslog.rs"]
mod syslog;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use audit_log::record;
use nitro_key_broker::audit::AuditLog;
use nitro_key_broker::audit::chain::{Begin, ChainHead};
use nitro_key_broker::audit::reader::Lines;
use nitro_key_broker::audit::verify::{Expectations, verify};
use process::{DataFolder, PROGRAM};

pub async fn write(log: &AuditLog, numbers: std::ops::Range<u64>) {
    for number in numbers {
        log.record(format!("{}\n", record(number)).into_bytes()).await.unwrap();
    }
}

/// Where the chain of the log at `path` ends, which must be whole.
pub fn head(path: &Path) -> ChainHead {
    let expectations = Expectations { checkpoints: Vec::new(), begin: Begin::AtRecord0 };
    verify(Lines::of_log(path).unwrap(), expectations, &mut |_| {}).unwrap().unwrap().head.unwrap()
}

/// `serve` as it is configured: standard output has the file's lines, and after SIGTERM there is a checkpoint.
#[test]
fn standard_output_has_the_same_lines_as_the_file() {
    let folder = DataFolder::init();
    std::fs::write(folder.path().join("broker.toml"), "[audit]\nsinks = ['file', 'stdout']\n").unwrap();
    let mut broker = Command::new(PROGRAM)
        .arg("--data-dir")
        .arg(folder.path())
        .args(["serve", "--listen", "http://127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(broker.stdout.take().unwrap()).lines().map(Result::unwrap);
    let listening = stdout.next().unwrap();
    let address = listening.strip_prefix("listening on http://").unwrap();
    for _ in 0..3 {
        let body = "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: TrentService.ListKeys\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut connection, body.as_bytes()).unwrap();
        std::io::Read::read_to_end(&mut connection, &mut Vec::new()).unwrap();
    }
    let shown: Vec<String> = stdout.by_ref().take(3).collect();
    let recorded = std::fs::read_to_string(folder.audit_log()).unwrap();
    assert_eq!(shown, recorded.lines().collect::<Vec<_>>());
    let pid = rustix::process::Pid::from_child(&broker);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(broker.wait().unwrap().success());
    let verified = folder.run(&["audit", "verify"]);
    assert!(verified.contains("records       0 to 2,") && verified.contains("1 hold"), "{verified}");
}

#[test]
fn a_broker_without_a_durable_sink_does_not_start() {
    let folder = DataFolder::init();
    for (config, problem) in [
        ("sinks = ['stdout']", "no durable audit sink is configured"),
        ("sinks = []", "no durable audit sink is configured"),
        ("sinks = ['files']", "\"files\" is no audit sink"),
    ] {
        std::fs::write(folder.path().join("broker.toml"), format!("[audit]\n{config}\n")).unwrap();
        let mut serve = Command::new(PROGRAM);
        let done =
            serve.arg("--data-dir").arg(folder.path()).args(["serve", "--listen", "http://127.0.0.1:0"]);
        let done = done.output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{config}");
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert!(stderr.contains(problem), "{config}: {stderr}");
    }
}
