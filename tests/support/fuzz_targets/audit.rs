//! What `audit verify` reads: lines of a log with their chain, checkpoints and the keys that signed them.

use nitro_key_broker::audit::chain::{Begin, ChainHead, ChainVerifier, LinkTerms, Step};
use nitro_key_broker::audit::record::AuditRecord;
use nitro_key_broker::signed_note::{Checkpoint, NoteSigner, NoteVerifier};
use serde_json::{Value, json};

/// The key in the examples of Go's package `sumdb/note`, which everybody knows.
const KEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

pub fn run(input: &[u8]) {
    follow(input);
    carry(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    read_note(text);
}

/// A chain goes on by one record at a time, and ends at the first line that breaks it.
fn follow(log: &[u8]) {
    let mut chain = ChainVerifier::new(Begin::AtAnyFile);
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        match AuditRecord::parse(line) {
            Ok(record) => {
                assert_eq!(Some(record.value()), serde_json::from_slice::<Value>(line).ok().as_ref())
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let before = chain.head().map(ChainHead::next_sequence);
        match chain.line(line) {
            Ok(Step::Record { sequence, .. }) => {
                assert!(before.is_none_or(|before| before == sequence));
                assert_eq!(chain.head().map(ChainHead::next_sequence), sequence.checked_add(1));
            }
            Ok(Step::SetApart) => assert_eq!(chain.head().map(ChainHead::next_sequence), before),
            Err(fault) => return assert!(!fault.to_string().is_empty()),
        }
    }
    let _ = chain.finish();
}

/// What the writer links is followed, and with one bit changed its successor does not fit.
fn carry(input: &[u8]) {
    let mut head = ChainHead::of_new_log("fuzz");
    let line = format!("{}\n", json!({"text": String::from_utf8_lossy(input)}));
    let mut link = || head.link(line.as_bytes(), LinkTerms::default()).unwrap();
    let lines = [link(), link(), link()];
    let mut chain = ChainVerifier::new(Begin::AtRecord0);
    for (sequence, line) in (0..).zip(&lines) {
        assert_eq!(chain.line(line), Ok(Step::Record { sequence, set_apart: None }));
    }
    let mut changed = lines;
    let at = input.len() % (changed[1].len() - 1);
    changed[1][at] ^= 1;
    let mut chain = ChainVerifier::new(Begin::AtRecord0);
    assert!(changed.iter().any(|line| chain.line(line).is_err()), "byte {at} of the second line");
}

/// What is read is written again as it was, and what is signed opens, but not with another text.
fn read_note(text: &str) {
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        let again = checkpoint.to_text();
        assert!(text.starts_with(again.trim_end_matches('\n')), "{text:?} {again:?}");
        assert_eq!(Checkpoint::parse(&again), Ok(checkpoint));
    }
    if let Ok(key) = NoteVerifier::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    let signer = NoteSigner::parse(KEY).unwrap();
    let _ = signer.verifier().open(text.as_bytes());
    if let Ok(note) = signer.sign(text) {
        assert_eq!(signer.verifier().open(note.as_bytes()), Ok(text));
        let mut changed = note.into_bytes();
        changed[0] ^= 1;
        assert!(signer.verifier().open(&changed).is_err());
    }
}
