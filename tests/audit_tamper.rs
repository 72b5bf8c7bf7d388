//! A log of 1,000 records: every changed byte, missing or moved record and cut is found.
//!
//! Verifying the whole log once for each of its bytes would take hours, and needs not be done: what comes before a change
//! is verified the same each time. So each case goes on from the verifier's state before the changed line, and stops at
//! the finding. That this is what a whole verification finds is shown on samples.

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

use std::path::Path;
use std::sync::Arc;

use audit_log::{chained, checkpoint, short_record};
use nitro_key_broker::audit::chain::{Begin, ChainFault, ChainHead, LinkTerms, SetApart};
use nitro_key_broker::audit::reader::{Line, Place, ReadError};
use nitro_key_broker::audit::verify::{Expectations, Fault, Finding, Verified, Walk, verify};
use nitro_key_broker::signed_note::Checkpoint;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

const RECORDS: usize = 1000;
const RECORDS_A_FILE: u64 = 300;
/// Positions at which all 255 other values are tried.
const FULL_POSITIONS: usize = 150;
/// Cases that are verified from the first line on, too.
const WHOLE_RUNS: usize = 60;

struct Log {
    lines: Vec<Vec<u8>>,
    /// Before each line, and at the end.
    states: Vec<Walk>,
    kept: Checkpoint,
}

impl Log {
    fn new() -> Self {
        let (lines, head) =
            chained((0..RECORDS as u64).map(short_record), |sequence| sequence % RECORDS_A_FILE == 0);
        let kept = checkpoint(&head);
        let mut states = vec![Walk::new(expecting(Some(kept.clone())))];
        for line in &lines {
            let mut next = states.last().unwrap().clone();
            next.line(&at_some_place(line)).unwrap();
            states.push(next);
        }
        Self { lines, states, kept }
    }

    /// What a verification finds that goes on before line `from` with `changed` in its place and the lines from `then` on.
    fn find_from(&self, from: usize, changed: &[u8], then: usize) -> Result<Verified, Finding> {
        // Enough for a change of the line end, which makes one line out of two.
        let near: Vec<u8> =
            changed.iter().chain(self.lines[then.min(RECORDS)..].iter().take(2).flatten()).copied().collect();
        let near = near.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        let far = self.lines[(then + 2).min(RECORDS)..].iter().cloned();
        let mut walk = self.states[from].clone();
        let mut lines = near.chain(far);
        while let Some(line) = lines.next() {
            let line = at_some_place(&line);
            if let Err(finding) = walk.line(&line) {
                let next = lines.next().map(|line| at_some_place(&line));
                return Err(walk.blame(finding, &line, next.as_ref()));
            }
        }
        walk.finish()
    }

    fn bytes(&self) -> Vec<u8> {
        self.lines.concat()
    }
}

fn expecting(kept: Option<Checkpoint>) -> Expectations {
    Expectations { checkpoints: kept.into_iter().collect(), begin: Begin::AtRecord0 }
}

/// These tests are about what is found, not where: a place would be the same for all lines.
fn at_some_place(line: &[u8]) -> Line {
    let place = Place { file: Arc::from(Path::new("audit.jsonl")), line: 0, offset: 0 };
    Line { place, bytes: line.to_vec() }
}

/// The whole of a log, as `audit verify` reads it.
fn find(bytes: &[u8], kept: Option<&Checkpoint>) -> Result<Verified, Finding> {
    let lines =
        bytes.split_inclusive(|byte| *byte == b'\n').map(|line| Ok::<_, ReadError>(at_some_place(line)));
    verify(lines, expecting(kept.cloned()), &mut |_| {}).unwrap()
}

#[test]
fn the_log_is_whole() {
    let log = Log::new();
    let verified = find(&log.bytes(), Some(&log.kept)).unwrap();
    assert_eq!((verified.head.unwrap().next_sequence(), verified.checkpoints), (RECORDS as u64, 1));
}

#[test]
fn every_changed_byte_is_found_and_its_record_named() {
    let log = Log::new();
    let mut random = StdRng::seed_from_u64(1);
    let mut positions = 0;
    for (number, line) in log.lines.iter().enumerate() {
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= random.random_range(1..=255_u8);
            check_changed(&log, number, &changed, at);
            positions += 1;
        }
    }
    assert_eq!(positions, log.bytes().len(), "every position was tried");
}

#[test]
fn every_other_value_of_a_byte_is_found() {
    let log = Log::new();
    let mut random = StdRng::seed_from_u64(2);
    for sample in 0..FULL_POSITIONS {
        // The first and the last record among them, whose neighbours are missing.
        let number = match sample {
            0..10 => 0,
            10..20 => RECORDS - 1,
            _ => random.random_range(0..RECORDS),
        };
        let line = &log.lines[number];
        let at = if sample % 10 == 9 { line.len() - 1 } else { random.random_range(0..line.len()) };
        for flip in 1..=255_u8 {
            let mut changed = line.clone();
            changed[at] ^= flip;
            check_changed(&log, number, &changed, at);
        }
    }
}

fn check_changed(log: &Log, number: usize, changed: &[u8], at: usize) {
    let finding = log.find_from(number, changed, number + 1);
    let finding = finding.expect_err(&format!("byte {at} of record {number} was changed"));
    // Of the last two records nobody can say which of them disagrees with the other.
    let named = usize::try_from(finding.sequence).unwrap();
    let is_named = named == number || (number == RECORDS - 1 && named == RECORDS - 2);
    assert!(
        is_named,
        "byte {at} of record {number} was changed, and record {named} is named: {}",
        finding.fault
    );
}

#[test]
fn going_on_from_a_state_finds_what_a_whole_run_finds() {
    let log = Log::new();
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..WHOLE_RUNS {
        let number = random.random_range(0..RECORDS);
        let mut changed = log.lines[number].clone();
        let at = random.random_range(0..changed.len());
        changed[at] ^= random.random_range(1..=255_u8);
        let mut lines = log.lines.clone();
        lines[number].clone_from(&changed);
        assert_eq!(log.find_from(number, &changed, number + 1), find(&lines.concat(), Some(&log.kept)));
    }
}

#[test]
fn every_missing_record_is_found() {
    let log = Log::new();
    for number in 0..RECORDS {
        let finding = log.find_from(number, b"", number + 1).unwrap_err();
        assert_eq!(finding.sequence, number as u64);
        let expected = number as u64;
        match finding.fault {
            Fault::CutOff { size, actual } => {
                assert_eq!((number, size, actual), (RECORDS - 1, RECORDS as u64, RECORDS as u64 - 1));
            }
            fault => {
                assert_eq!(fault, Fault::Chain(ChainFault::Sequence { expected, actual: expected + 1 }));
            }
        }
    }
}

#[test]
fn every_record_that_stands_twice_is_found() {
    let log = Log::new();
    for (number, line) in log.lines.iter().enumerate() {
        let finding = log.find_from(number, &[line.as_slice(), line].concat(), number + 1).unwrap_err();
        let expected = number as u64 + 1;
        let fault = Fault::Chain(ChainFault::Sequence { expected, actual: expected - 1 });
        assert_eq!((finding.sequence, finding.fault), (expected, fault));
    }
}

#[test]
fn every_exchange_of_neighbours_and_many_others_are_found() {
    let log = Log::new();
    for number in 0..RECORDS - 1 {
        let swapped = [log.lines[number + 1].as_slice(), &log.lines[number]].concat();
        let finding = log.find_from(number, &swapped, number + 2).unwrap_err();
        assert_eq!(finding.sequence, number as u64);
    }
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..200 {
        let (one, other) = (random.random_range(0..RECORDS), random.random_range(0..RECORDS));
        if one != other {
            let mut lines = log.lines.clone();
            lines.swap(one, other);
            assert_eq!(find(&lines.concat(), Some(&log.kept)).unwrap_err().sequence, one.min(other) as u64);
        }
    }
}

#[test]
fn every_cut_is_found_with_a_kept_checkpoint_and_none_without() {
    let log = Log::new();
    let mut cuts = 0;
    for (number, line) in log.lines.iter().enumerate() {
        for len in 0..line.len() {
            let finding = log.find_from(number, &line[..len], RECORDS).unwrap_err();
            let (size, actual) = (RECORDS as u64, number as u64);
            assert_eq!(
                finding.fault,
                Fault::CutOff { size, actual },
                "cut after byte {len} of record {number}"
            );
            cuts += 1;
        }
    }
    let bytes = log.bytes();
    assert_eq!(cuts, bytes.len());
    // This is what checkpoints are kept for.
    let begin = &bytes[..bytes.len() / 2];
    let unfinished = find(begin, None).unwrap().unfinished_bytes;
    let end = begin.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(unfinished, (begin.len() - end) as u64);
    assert!(find(begin, Some(&log.kept)).is_err());
}

#[test]
fn a_past_that_was_rewritten_is_found_with_a_kept_checkpoint() {
    let log = Log::new();
    for changed in [0, 1, 500, RECORDS as u64 - 1] {
        let records = (0..RECORDS as u64).map(|number| match number {
            number if number == changed => json!({"n": "another"}),
            number => short_record(number),
        });
        let (lines, head) = chained(records, |sequence| sequence % RECORDS_A_FILE == 0);
        assert!(find(&lines.concat(), None).is_ok(), "whoever can write everything can chain everything");
        let finding = find(&lines.concat(), Some(&log.kept)).unwrap_err();
        assert_eq!(
            finding.fault,
            Fault::Rewritten {
                size: RECORDS as u64,
                signed: hex::encode(log.kept.root),
                actual: hex::encode(head.tree.root()),
            }
        );
    }
    let longer: Vec<_> = (0..RECORDS as u64 + 50).map(short_record).collect();
    let (lines, _) = chained(longer.into_iter(), |sequence| sequence % RECORDS_A_FILE == 0);
    assert!(find(&lines.concat(), Some(&log.kept)).is_ok(), "a log may have grown since");
    let other = Checkpoint { origin: "other".to_owned(), ..log.kept.clone() };
    let fault = find(&log.bytes(), Some(&other)).unwrap_err().fault;
    assert_eq!(fault, Fault::AnotherLog { signed: "other".to_owned(), actual: audit_log::LOG.to_owned() });
}

/// What a crash leaves is set apart by the next record, and nothing else hides behind that.
#[test]
fn what_is_set_apart_is_bound_byte_for_byte() {
    let torn = b"{\"n\":1,\"cha\n";
    let apart = SetApart { bytes: torn.len() as u64, sha256: nitro_key_broker::crypto::sha256(&[torn]) };
    let mut head = ChainHead::of_new_log(audit_log::LOG);
    let mut link =
        |set_apart| head.link(b"{\"n\":0}\n", LinkTerms { starts_file: false, set_apart }).unwrap();
    let (first, second, third) = (link(None), link(Some(apart)), link(None));
    let whole = [first.as_slice(), torn, &second, &third].concat();
    assert_eq!(find(&whole, None).unwrap().set_apart.len(), 1);
    for at in 0..torn.len() {
        let mut changed = whole.clone();
        changed[first.len() + at] ^= 1;
        assert!(find(&changed, None).is_err(), "byte {at} of what is set apart");
        let mut cut = whole.clone();
        cut.remove(first.len() + at);
        assert!(find(&cut, None).is_err(), "byte {at} of what is set apart");
    }
    let without = [first.as_slice(), &second, &third].concat();
    assert!(matches!(find(&without, None).unwrap_err().fault, Fault::Chain(ChainFault::SetApart { .. })));
    let elsewhere = [first.as_slice(), &second, torn, &third].concat();
    assert!(find(&elsewhere, None).is_err());
    let at_end = [whole.as_slice(), torn].concat();
    assert!(matches!(find(&at_end, None).unwrap_err().fault, Fault::Chain(ChainFault::NoRecord(_))));
}
