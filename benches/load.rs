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

use broker::client::Client;
use broker::enclave::Enclave;
use broker::policy_on_pcr0;
use hyper::body::Bytes;
use nitro_key_broker::attestation::MemoSize;
use nitro_key_broker::time::UnixTime;
use process::{BrokerProcess, DataFolder};
use rustix::process::{Pid, getpid};
use serde_json::json;
use work::{Primitives, RecordedDocument};

const BROKER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";
/// How often the load and the bare cryptography take turns.
const TURNS: usize = 50;
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

    let primitives = Primitives::new(&RecordedDocument::read());
    let folder = DataFolder::init();
    let enclave = Enclave::new();
    let key = folder.create_key(&policy_on_pcr0(&enclave.pcr(0)));
    pin(getpid(), BROKER_CORE);
    let broker = BrokerProcess::start(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut clients = runtime.block_on(connect(&broker, connections));
    let ask = Arc::new(Ask::new(&key, enclave, 2 * MemoSize::default().documents));
    let resident_before = Usage::of(broker.pid()).resident_kib;

    // Both sides are measured by the processor time that they use, in turns, so that what else the machine does meets
    // both alike; what meets one turn alone is out of the median.
    let (mut served, mut cryptography) = (Work::default(), Work::default());
    let mut shares = Vec::with_capacity(TURNS);
    let mut on_the_clock = Duration::ZERO;
    for turn in 0..TURNS {
        let share = requests * (turn + 1) / TURNS - requests * turn / TURNS;
        pin(getpid(), CLIENT_CORE);
        let (before, begin) = (Usage::of(broker.pid()).processor, Instant::now());
        clients = runtime.block_on(send(clients, &ask, share));
        on_the_clock += begin.elapsed();
        let served_now = Work { times: share, processor: Usage::of(broker.pid()).processor - before };

        pin(getpid(), BROKER_CORE);
        let (before, rounds) = (Usage::of(getpid()).processor, share.div_ceil(4));
        (0..rounds).for_each(|_| primitives.run());
        let cryptography_now = Work { times: rounds, processor: Usage::of(getpid()).processor - before };

        shares.push(served_now.rate() / cryptography_now.rate());
        served.add(&served_now);
        cryptography.add(&cryptography_now);
    }

    let resident = Usage::of(broker.pid()).resident_kib;
    let (rate, cryptography) = (served.rate(), cryptography.rate());
    shares.sort_by(f64::total_cmp);
    let (lowest, share, highest) = (shares[TURNS / 10], shares[TURNS / 2], shares[TURNS - 1 - TURNS / 10]);
    println!(
        "{requests} GenerateDataKey with fresh documents over {connections} connections in {:.1} s",
        on_the_clock.as_secs_f64()
    );
    println!("  on the clock:             {:8.0} requests/s", requests as f64 / on_the_clock.as_secs_f64());
    println!("  of the broker's time:     {rate:8.0} requests/s of one core, {:.0} µs each", 1e6 / rate);
    println!(
        "  its cryptography alone:   {cryptography:8.0} /s of one core, {:.0} µs each",
        1e6 / cryptography
    );
    println!(
        "  share, median of turns:   {:8.1} % (target ≥ {:.0} %: {}), 8 of 10 turns {:.1} to {:.1} %",
        share * 100.0,
        RATE_TARGET * 100.0,
        verdict(share >= RATE_TARGET),
        lowest * 100.0,
        highest * 100.0
    );
    println!(
        "  resident memory:          {:8.1} MiB (target < {} MiB: {}), {:.1} MiB before",
        resident as f64 / 1024.0,
        MEMORY_TARGET_KIB / 1024,
        verdict(resident < MEMORY_TARGET_KIB),
        resident_before as f64 / 1024.0,
    );
}

/// Something done a number of times, and the processor time that it took.
#[derive(Default)]
struct Work {
    times: usize,
    processor: Duration,
}

impl Work {
    fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.processor += other.processor;
    }

    fn rate(&self) -> f64 {
        self.times as f64 / self.processor.as_secs_f64()
    }
}

async fn connect(broker: &BrokerProcess, connections: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(broker.connect().await);
    }
    clients
}

/// Sends `requests` over all the connections at once.
async fn send(clients: Vec<Client>, ask: &Arc<Ask>, requests: usize) -> Vec<Client> {
    let sent = Arc::new(AtomicUsize::new(0));
    let tasks = clients.into_iter().map(|mut client| {
        let (sent, ask) = (Arc::clone(&sent), Arc::clone(ask));
        tokio::spawn(async move {
            while sent.fetch_add(1, Ordering::Relaxed) < requests {
                let answer = client.post("GenerateDataKey", ask.body()).await;
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            }
            client
        })
    });
    let mut clients = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        clients.push(task.await.unwrap());
    }
    clients
}

/// Requests with documents of their own, which take turns: by the time that one comes again, the broker has forgotten it,
/// so each costs what a fresh document costs. They are renewed while they are still fresh.
struct Ask {
    key: String,
    enclave: Enclave,
    documents: usize,
    current: Mutex<Pool>,
}

struct Pool {
    made: Instant,
    bodies: Vec<Bytes>,
    next: usize,
}

impl Ask {
    fn new(key: &str, enclave: Enclave, documents: usize) -> Self {
        let current = Mutex::new(Self::attest(key, &enclave, documents));
        Self { key: key.to_owned(), enclave, documents, current }
    }

    fn body(&self) -> Bytes {
        let mut current = self.current.lock().unwrap();
        if current.made.elapsed() > Duration::from_secs(120) {
            *current = Self::attest(&self.key, &self.enclave, self.documents);
        }
        current.next = (current.next + 1) % self.documents;
        current.bodies[current.next].clone()
    }

    /// Each document was made a millisecond before the one in front of it, so no two are the same.
    fn attest(key: &str, enclave: &Enclave, documents: usize) -> Pool {
        let now = UnixTime::now();
        let body = |age_ms| {
            let recipient = enclave.recipient(now.saturating_sub(Duration::from_millis(age_ms)));
            json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": recipient}).to_string().into()
        };
        Pool { made: Instant::now(), bodies: (0..documents as u64).map(body).collect(), next: 0 }
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
