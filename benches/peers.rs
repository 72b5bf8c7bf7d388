//! The verifier beside published ones, on one genuine document in one run: `make bench-peers`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may stop at the first surprise, and its result goes to standard output"
)]

#[path = "../tests/support/peers.rs"]
#[allow(dead_code, reason = "the differential tests use the rest")]
mod peers;
#[path = "support/work.rs"]
#[allow(dead_code, reason = "the other measurements use the rest")]
mod work;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use nitro_key_broker::attestation::{self, MemoSize, Requirements, TrustAnchors, Verifier};
use peers::Program;
use work::{RawVerification, RecordedDocument};

/// All take turns, so that whatever else the machine does hits all.
const TURNS: usize = 60;
/// Runs of each of ours in a turn.
const RUNS: usize = 50;
/// Runs of each peer in a turn; one takes milliseconds.
const PEER_RUNS: usize = 5;
const PEERS: [&str; 2] = ["nitro_attest", "attestation-doc-validation"];

/// A way of verifying, what it may cost in raw verifications, and how many times as fast as the fastest peer it must be.
struct Way<'w> {
    name: &'static str,
    run: Box<dyn Fn() + 'w>,
    most_raw: f64,
    least_peers: f64,
    times: Vec<Duration>,
}

fn main() {
    let document = RecordedDocument::read();
    let raw = RawVerification::of(&document.bytes);
    let mut raw_times = Vec::new();
    let mut ways = ways(&document);
    let mut peers = PEERS.map(|name| (name, Vec::new()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/aws-nitro-enclaves-root-g1.pem");
    let aws = TrustAnchors::aws().unwrap();
    let mut program = Program::trusting(&root, aws.iter().next().unwrap().der());

    for _ in 0..TURNS {
        raw_times.extend((0..RUNS).map(|_| time(&|| raw.run())));
        for way in &mut ways {
            way.times.extend((0..RUNS).map(|_| time(&way.run)));
        }
        for (name, times) in &mut peers {
            times.extend(program.measure(name, &document.bytes, document.now, PEER_RUNS));
        }
    }

    let raw = median(raw_times);
    let peers = peers.map(|(name, times)| (name, median(times)));
    let fastest_peer = peers.iter().map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
    println!("{:<38} {:>10} {:>16}", "", "median", "÷ raw P-384");
    let row = |name: &str, time: f64| println!("{name:<38} {:>7.1} µs {:>16.3}", time * 1e6, time / raw);
    row("one raw P-384 verification", raw);
    for (name, time) in peers {
        row(name, time);
    }
    for way in ways {
        let time = median(way.times);
        row(way.name, time);
        report(time / raw, "× raw", way.most_raw, time / raw <= way.most_raw, "≤");
        let faster = fastest_peer / time;
        report(faster, "× as fast as the fastest peer", way.least_peers, faster >= way.least_peers, "≥");
    }
}

fn ways(document: &RecordedDocument) -> [Way<'_>; 3] {
    let requirements = Requirements::default();
    let anchors = TrustAnchors::aws().unwrap();
    let only_paths = MemoSize { documents: 0, ..MemoSize::default() };
    let paths = Verifier::with_memo_size(TrustAnchors::aws().unwrap(), requirements, only_paths);
    let documents = Verifier::new(TrustAnchors::aws().unwrap(), requirements);
    let (bytes, now) = (&document.bytes, document.now);
    let way = |name, run, most_raw, least_peers| Way { name, run, most_raw, least_peers, times: Vec::new() };
    [
        way(
            "ours, nothing remembered",
            Box::new(move || {
                drop(black_box(attestation::verify(bytes, &anchors, now, &requirements).unwrap()))
            }),
            5.3,
            4.0,
        ),
        way(
            "ours, path remembered",
            Box::new(move || drop(black_box(paths.verify(bytes, now).unwrap()))),
            1.10,
            20.0,
        ),
        way(
            "ours, document remembered",
            Box::new(move || drop(black_box(documents.verify(bytes, now).unwrap()))),
            0.06,
            20.0,
        ),
    ]
}

fn report(actual: f64, what: &str, target: f64, met: bool, relation: &str) {
    println!("    {actual:.3} {what} (target {relation} {target}: {})", if met { "met" } else { "MISSED" });
}

fn time(run: &dyn Fn()) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}

/// In seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
