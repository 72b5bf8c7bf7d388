//! A load run against the real program over keep-alive HTTP: its rate against that of the bare cryptography on one core,
//! and its memory afterwards.
//!
//! `cargo bench --bench load` sends 100,000 requests over 32 connections; `LOAD_REQUESTS` and `LOAD_CONNECTIONS` change
//! that. The broker is pinned to the first core and this client to the second.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may stop at the first surprise, and its result goes to standard output"
)]

#[path = "../tests/support/broker/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod broker;
#[path = "../tests/support/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
#[path = "support/work.rs"]
#[allow(dead_code, reason = "another measurement uses the rest")]
mod work;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use broker::enclave::Enclave;
use broker::policy_on_pcr0;
use hyper::body::Bytes;
use nitro_key_broker::time::UnixTime;
use process::{BrokerProcess, DataFolder};
use rustix::process::{Pid, getpid};
use serde_json::json;
use work::{Primitives, RecordedDocument};

const BROKER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";
const RATE_TARGET: f64 = 0.70;
const MEMORY_TARGET_KIB: u64 = 40 * 1024;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (requests, connections) = (number("LOAD_REQUESTS", 100_000), number("LOAD_CONNECTIONS", 32));

    // Both sides are measured by the processor time that they use, so that the machine's other work counts for neither.
    pin(getpid(), BROKER_CORE);
    let cryptography = cryptography_rate();

    let folder = DataFolder::init();
    let enclave = Enclave::new();
    let key = folder.create_key(&policy_on_pcr0(&enclave.pcr(0)));
    let broker = BrokerProcess::start(&folder);
    pin(getpid(), CLIENT_CORE);

    let before = Usage::of(broker.pid());
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&broker, &key, enclave, requests, connections));
    let (elapsed, after) = (begin.elapsed(), Usage::of(broker.pid()));

    let used = after.processor - before.processor;
    let rate = requests as f64 / used.as_secs_f64();
    let share = rate / cryptography;
    println!("{requests} GenerateDataKey over {connections} connections in {:.1} s", elapsed.as_secs_f64());
    println!("  on the clock:             {:8.0} requests/s", requests as f64 / elapsed.as_secs_f64());
    println!("  of the broker's time:     {rate:8.0} requests/s of one core, {:.0} µs each", 1e6 / rate);
    println!(
        "  its cryptography alone:   {cryptography:8.0} /s of one core, {:.0} µs each",
        1e6 / cryptography
    );
    println!(
        "  share:                    {:8.1} % (target ≥ {:.0} %: {})",
        share * 100.0,
        RATE_TARGET * 100.0,
        verdict(share >= RATE_TARGET)
    );
    println!(
        "  resident memory:          {:8.1} MiB (target < {} MiB: {}), {:.1} MiB before",
        after.resident_kib as f64 / 1024.0,
        MEMORY_TARGET_KIB / 1024,
        verdict(after.resident_kib < MEMORY_TARGET_KIB),
        before.resident_kib as f64 / 1024.0,
    );
}

/// How often in a second of processor time one core does the primitives of a GenerateDataKey.
fn cryptography_rate() -> f64 {
    let primitives = Primitives::new(&RecordedDocument::read());
    let warm_up = Instant::now();
    while warm_up.elapsed() < Duration::from_millis(500) {
        primitives.run();
    }
    let (before, mut rounds) = (Usage::of(getpid()).processor, 0_u32);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        primitives.run();
        rounds += 1;
    }
    f64::from(rounds) / (Usage::of(getpid()).processor - before).as_secs_f64()
}

async fn run(broker: &BrokerProcess, key: &str, enclave: Enclave, requests: usize, connections: usize) {
    let ask = Arc::new(Ask::new(key, enclave));
    let sent = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (sent, ask) = (Arc::clone(&sent), Arc::clone(&ask));
        let mut client = broker.connect().await;
        tasks.push(tokio::spawn(async move {
            while sent.fetch_add(1, Ordering::Relaxed) < requests {
                let answer = client.post("GenerateDataKey", ask.body()).await;
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// The request, with a document that is renewed while it is still fresh.
struct Ask {
    key: String,
    enclave: Enclave,
    current: Mutex<(Instant, Bytes)>,
}

impl Ask {
    fn new(key: &str, enclave: Enclave) -> Self {
        let current = Mutex::new((Instant::now(), Self::attest(key, &enclave)));
        Self { key: key.to_owned(), enclave, current }
    }

    fn body(&self) -> Bytes {
        let mut current = self.current.lock().unwrap();
        if current.0.elapsed() > Duration::from_secs(120) {
            *current = (Instant::now(), Self::attest(&self.key, &self.enclave));
        }
        current.1.clone()
    }

    fn attest(key: &str, enclave: &Enclave) -> Bytes {
        let recipient = enclave.recipient(UnixTime::now());
        json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": recipient}).to_string().into()
    }
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// Pins this thread, and what it starts from now on, to one core.
fn pin(process: Pid, core: &str) {
    let process = process.as_raw_nonzero().to_string();
    let done = Command::new("taskset").args(["--cpu-list", "--pid", core, &process]).output();
    assert!(done.is_ok_and(|done| done.status.success()), "taskset cannot pin to core {core}");
}

/// What a process has used so far (proc_pid_stat(5), proc_pid_status(5)).
struct Usage {
    processor: Duration,
    resident_kib: u64,
}

impl Usage {
    fn of(process: Pid) -> Self {
        let folder = format!("/proc/{}", process.as_raw_nonzero());
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident_kib = resident.trim().trim_end_matches(" kB").parse().unwrap();
        // Nanoseconds on a processor, of each thread; of /proc/<pid>/stat it is only hundredths of a second.
        let processor = std::fs::read_dir(format!("{folder}/task"))
            .unwrap()
            .map(|task| {
                let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
                text.split(' ').next().unwrap().parse::<u64>().unwrap()
            })
            .sum();
        Self { processor: Duration::from_nanos(processor), resident_kib }
    }
}
