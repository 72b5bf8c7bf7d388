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
use nitro_key_broker::attestation::{self, MemoSize, Requirements, TrustAnchors, Verifier};
use work::{Primitives, RawVerification, RecordedDocument, Stages};

/// Verification of a fresh document, its path remembered, to one raw P-384 verification of the same message.
const VERIFICATION_TARGET: f64 = 1.10;
/// Verification of a document that was seen before, to the same.
const REMEMBERED_TARGET: f64 = 0.06;
/// Verification of a document and all five certificates, to the same.
const COLD_TARGET: f64 = 5.3;

fn main() {
    let document = RecordedDocument::read();
    let raw = RawVerification::of(&document.bytes);
    let only_paths = MemoSize { documents: 0, ..MemoSize::default() };
    let verifier =
        Verifier::with_memo_size(TrustAnchors::aws().unwrap(), Requirements::default(), only_paths);
    let remembering = Verifier::new(TrustAnchors::aws().unwrap(), Requirements::default());
    let anchors = TrustAnchors::aws().unwrap();
    let primitives = Primitives::new(&document);
    let stages = Stages::new(RecordedDocument::read());

    let warm = || drop(black_box(verifier.verify(&document.bytes, document.now).unwrap()));
    // As the operations do: the recipient key, too.
    let remembered = || {
        let evidence = remembering.verify(&document.bytes, document.now).unwrap();
        drop(black_box(evidence.into_recipient().unwrap()));
    };
    let cold = || {
        let requirements = Requirements::default();
        drop(black_box(attestation::verify(&document.bytes, &anchors, document.now, &requirements).unwrap()));
    };

    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("P-384 verification, raw", |bencher| bencher.iter(|| raw.run()));
    criterion.bench_function("document, remembered", |bencher| bencher.iter(remembered));
    criterion.bench_function("document, path remembered", |bencher| bencher.iter(warm));
    criterion.bench_function("document, path verified", |bencher| bencher.iter(cold));
    criterion.bench_function("GenerateDataKey, primitives", |bencher| bencher.iter(|| primitives.run()));
    criterion.bench_function("GenerateDataKey, stages", |bencher| bencher.iter(|| black_box(stages.run())));
    criterion.final_summary();

    for (name, run, target) in [
        ("document, remembered      ÷ raw P-384 verification:", &remembered as &dyn Fn(), REMEMBERED_TARGET),
        ("document, path remembered ÷ raw P-384 verification:", &warm, VERIFICATION_TARGET),
        ("document, path verified   ÷ raw P-384 verification:", &cold, COLD_TARGET),
    ] {
        let ratio = ratio(run, &|| raw.run());
        let verdict = if ratio <= target { "met" } else { "MISSED" };
        println!("{name} {ratio:.3} (target ≤ {target}: {verdict})");
    }
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
