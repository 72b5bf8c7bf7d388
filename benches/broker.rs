//! What verification and one GenerateDataKey cost, as ratios to the cryptography that they cannot do without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may stop at the first surprise, and its result goes to standard output"
)]

#[path = "support/work.rs"]
mod work;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use nitro_key_broker::attestation::{self, Requirements, TrustAnchors, Verifier};
use work::{Primitives, RawVerification, RecordedDocument, Stages};

/// Verification of a fresh document, its path remembered, to one raw P-384 verification of the same message.
const VERIFICATION_TARGET: f64 = 1.15;

fn main() {
    let document = RecordedDocument::read();
    let raw = RawVerification::of(&document.bytes);
    let verifier = Verifier::new(TrustAnchors::aws().unwrap(), Requirements::default());
    let anchors = TrustAnchors::aws().unwrap();
    let primitives = Primitives::new(&document);
    let stages = Stages::new(RecordedDocument::read());

    let warm = || drop(black_box(verifier.verify(&document.bytes, document.now).unwrap()));
    let cold = || {
        let requirements = Requirements::default();
        drop(black_box(attestation::verify(&document.bytes, &anchors, document.now, &requirements).unwrap()));
    };

    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("P-384 verification, raw", |bencher| bencher.iter(|| raw.run()));
    criterion.bench_function("document, path remembered", |bencher| bencher.iter(warm));
    criterion.bench_function("document, path verified", |bencher| bencher.iter(cold));
    criterion.bench_function("GenerateDataKey, primitives", |bencher| bencher.iter(|| primitives.run()));
    criterion.bench_function("GenerateDataKey, stages", |bencher| bencher.iter(|| black_box(stages.run())));
    criterion.final_summary();

    let verification = ratio(&warm, &|| raw.run());
    let verdict = if verification <= VERIFICATION_TARGET { "met" } else { "MISSED" };
    println!(
        "document, path remembered ÷ raw P-384 verification: {verification:.3} (target ≤ {VERIFICATION_TARGET}: {verdict})"
    );
    println!("document, path verified   ÷ raw P-384 verification: {:.3}", ratio(&cold, &|| raw.run()));
    let stages_ratio = ratio(&|| drop(black_box(stages.run())), &|| primitives.run());
    println!("GenerateDataKey, stages   ÷ its primitives:         {stages_ratio:.3}");
}

/// The medians' ratio of two pieces of work that take turns, so that whatever else the machine does hits both.
fn ratio(work: &dyn Fn(), reference: &dyn Fn()) -> f64 {
    const TURNS: usize = 3000;
    let time = |run: &dyn Fn()| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    let (mut works, mut references) = (Vec::with_capacity(TURNS), Vec::with_capacity(TURNS));
    for _ in 0..TURNS {
        works.push(time(work));
        references.push(time(reference));
    }
    let median = |durations: &mut Vec<Duration>| {
        durations.sort();
        durations[TURNS / 2].as_secs_f64()
    };
    median(&mut works) / median(&mut references)
}
