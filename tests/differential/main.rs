//! The verifier against others: two published verifiers, two decoders, and OpenSSL's path validation, on every recorded
//! and minted document and on thousands of changes of real ones.
//!
//! Where a verdict differs, a row of `testdata/differences.toml` says why; a difference without a row fails, and so does a
//! row without its difference. `make differential` builds the peers and runs this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod case;
mod certificate;
mod differences;
mod document;
mod mutation;
mod peers;
#[path = "../support/recorded.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;
mod signature;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, thread};

use case::Case;
use differences::Difference;
use nitro_key_broker::attestation::{self, VerifiedEvidence};
use peers::{Peer, Peers};
use serde_json::{Value, json};

/// Changes of real documents at least.
const MUTATIONS: usize = 4000;
/// The changes that leave a document genuine: `s` may be negated, and the tag of COSE_Sign1 may stand in front.
const ACCEPTED_CHANGES: [&str; 2] = ["mutated/signature_other_s", "mutated/tag_18"];

#[test]
fn no_verdict_differs_from_a_peers_without_a_known_reason() {
    let mutated = case::mutated();
    assert!(mutated.len() >= MUTATIONS, "{}", mutated.len());
    let cases: Vec<Case> =
        case::recorded().into_iter().chain(case::minted()).chain(case::moments()).chain(mutated).collect();

    let outcome = judge_all(&cases);

    let accepted: Vec<&str> = outcome.accepted_changes.iter().map(String::as_str).collect();
    assert_eq!(accepted, ACCEPTED_CHANGES);
    let present = cases.iter().map(|case| case.name.clone()).collect();
    differences::compare(&outcome.differences, &present);
    let agreements: Vec<String> =
        outcome.verdicts.iter().map(|(peer, count)| format!("{count} {peer}")).collect();
    let summary = format!("{} documents; verdicts compared: {}\n", cases.len(), agreements.join(", "));
    io::stderr().write_all(summary.as_bytes()).unwrap();
}

#[derive(Default)]
struct Outcome {
    /// Each with an example of what the peer said.
    differences: BTreeMap<Difference, String>,
    verdicts: BTreeMap<&'static str, usize>,
    accepted_changes: BTreeSet<String>,
}

/// Judges the cases on all processors, those of one root after the other.
fn judge_all(cases: &[Case]) -> Outcome {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let mut peers = BTreeMap::new();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let peers = peers
                        .entry(&case.root)
                        .or_insert_with(|| Peers::trusting(&case.root, &case.root_der()));
                    judge(case, peers, &outcome);
                }
            });
        }
    });
    outcome.into_inner().unwrap()
}

fn judge(case: &Case, peers: &mut Peers, outcome: &Mutex<Outcome>) {
    let ours = attestation::verify(&case.document, &case.trust_anchors(), case.now, &case.requirements);
    if ours.is_ok() && case.name.starts_with("mutated/") {
        outcome.lock().unwrap().accepted_changes.insert(case.name.clone());
    }
    for peer in Peer::ALL {
        let Some(part) = peer.part_of(&ours) else { continue };
        let theirs = peers.judge(peer, case);
        if let (Peer::SerdeCbor, "accepted", Ok(evidence)) = (peer, theirs.verdict, &ours) {
            assert_says_the_same(evidence, &serde_json::from_str(&theirs.detail).unwrap(), &case.name);
        }
        let mut outcome = outcome.lock().unwrap();
        *outcome.verdicts.entry(peer.name()).or_default() += 1;
        if let Some(difference) = Difference::between(peer, part, theirs.verdict, &case.name) {
            outcome.differences.entry(difference).or_insert(theirs.detail.chars().take(120).collect());
        }
    }
}

/// What is accepted says the same to another decoder.
fn assert_says_the_same(evidence: &VerifiedEvidence, decoded: &Value, name: &str) {
    let hex = |bytes: Option<&[u8]>| bytes.map(hex::encode);
    let pcrs: serde_json::Map<String, Value> =
        evidence.pcrs().iter().map(|(index, pcr)| (index.to_string(), pcr.to_hex().into())).collect();
    assert_eq!(decoded["module_id"], json!(evidence.module_id()), "{name}");
    assert_eq!(decoded["digest"], json!("SHA384"), "{name}");
    assert_eq!(decoded["timestamp"], json!(evidence.timestamp().as_ms()), "{name}");
    assert_eq!(decoded["pcrs"], Value::Object(pcrs), "{name}");
    assert_eq!(decoded["public_key"], json!(hex(evidence.public_key())), "{name}");
    assert_eq!(decoded["user_data"], json!(hex(evidence.user_data())), "{name}");
    assert_eq!(decoded["nonce"], json!(hex(evidence.nonce())), "{name}");
}
