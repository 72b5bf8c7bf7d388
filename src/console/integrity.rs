//! Whether the audit log is what the broker wrote, as far as it was read: its chain, and the newest checkpoint beside it.
//!
//! This is what the console sees as it reads. Who rewrites the log and the checkpoint together is found out by a checkpoint
//! that was kept elsewhere, with `audit verify`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::parts::{badge, grouped};
use crate::audit::chain::{Begin, ChainFault, ChainHead, ChainVerifier, Step};
use crate::audit::read_checkpoint;
use crate::merkle::Hash;
use crate::signed_note::{Checkpoint, NoteVerifier};

/// Roots of the tree that are remembered, for a checkpoint that is seen only when the log was read on: more than a broker
/// writes between two looks.
const MAX_ROOTS: usize = 8192;

/// Follows the chain while the log is read.
pub(super) struct Integrity {
    log: PathBuf,
    key: Option<NoteVerifier>,
    chain: ChainVerifier,
    /// Sizes of the tree and its root at each, the latest last.
    roots: VecDeque<(u64, Hash)>,
    state: IntegrityState,
}

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IntegrityState {
    /// Records whose chain holds, from the first that is there on.
    pub chained: u64,
    /// What breaks the chain, if something does; what comes behind it is not looked at.
    pub fault: Option<String>,
    /// What the newest checkpoint says.
    pub checkpoint: CheckpointState,
}

/// What a checkpoint says of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum CheckpointState {
    /// There is none.
    #[default]
    None,
    /// There is one, and nobody said by which key it would be signed.
    WithoutKey,
    /// It is over these many records, as they are.
    Holds(u64),
    /// It is over these many records, which were read before it was seen.
    NotCompared(u64),
    /// It is over these many records, and they are others.
    Rewritten(u64),
    /// It is over these many records, and there are fewer.
    CutOff(u64),
    /// It is none, or not signed by that key.
    Invalid(String),
}

impl Integrity {
    pub(super) fn new(log: &Path, key: Option<NoteVerifier>) -> Self {
        Self {
            log: log.to_owned(),
            key,
            chain: ChainVerifier::new(Begin::AtAnyFile),
            roots: VecDeque::new(),
            state: IntegrityState::default(),
        }
    }

    /// Before the first line again.
    pub(super) fn reset(&mut self) {
        *self = Self::new(&self.log, self.key.take());
    }

    /// The next line, its end included.
    pub(super) fn line(&mut self, line: &[u8]) {
        if self.state.fault.is_some() {
            return;
        }
        match self.chain.line(line) {
            Ok(Step::SetApart) => {}
            Ok(Step::Record { .. }) => {
                self.state.chained += 1;
                if let Some(ChainHead { tree, .. }) = self.chain.head() {
                    if self.roots.len() == MAX_ROOTS {
                        self.roots.pop_front();
                    }
                    self.roots.push_back((tree.size(), tree.root()));
                }
            }
            Err(fault) => {
                let number = self.chain.head().map_or(0, ChainHead::next_sequence);
                // A record says it of the line before.
                let number =
                    if matches!(fault, ChainFault::Hash { .. }) { number.saturating_sub(1) } else { number };
                self.state.fault = Some(format!("record {number}: {fault}"));
            }
        }
    }

    /// At the end of what there is.
    pub(super) fn at_end(&mut self) -> IntegrityState {
        self.state.checkpoint = self.look_at_checkpoint();
        self.state.clone()
    }

    fn look_at_checkpoint(&self) -> CheckpointState {
        let note = match read_checkpoint(&self.log) {
            Ok(Some(note)) => note,
            Ok(None) => return CheckpointState::None,
            Err(error) => return CheckpointState::Invalid(error.to_string()),
        };
        let Some(key) = &self.key else { return CheckpointState::WithoutKey };
        match key.open_checkpoint(&note) {
            Ok(checkpoint) => self.compare(&checkpoint),
            Err(error) => CheckpointState::Invalid(error.to_string()),
        }
    }

    fn compare(&self, checkpoint: &Checkpoint) -> CheckpointState {
        let Checkpoint { origin, size, root } = checkpoint;
        let head = self.chain.head();
        if head.is_some_and(|head| head.log != *origin) {
            return CheckpointState::Rewritten(*size);
        }
        if head.map_or(0, ChainHead::next_sequence) < *size {
            return CheckpointState::CutOff(*size);
        }
        match self.roots.iter().find(|(there, _)| there == size) {
            Some((_, there)) if there == root => CheckpointState::Holds(*size),
            Some(_) => CheckpointState::Rewritten(*size),
            None => CheckpointState::NotCompared(*size),
        }
    }
}

impl IntegrityState {
    /// In a few words, with a sign of whether it is well.
    pub(super) fn show(&self) -> Markup {
        html! {
            @match &self.fault {
                Some(fault) => { (badge("denied", "✕", "chain broken")) " " (fault) }
                None if self.chained > 0 => { (badge("allowed", "✓", "chain intact")) " " (grouped(self.chained)) " records" }
                None => { (badge("note", "–", "no chained record")) }
            }
            " "
            @match &self.checkpoint {
                CheckpointState::None => { (badge("note", "–", "no checkpoint")) }
                CheckpointState::WithoutKey => { (badge("note", "–", "checkpoint without a key to verify it by")) }
                CheckpointState::Holds(size) => { (badge("allowed", "✓", "checkpoint holds")) " over " (grouped(*size)) " records" }
                CheckpointState::NotCompared(size) => { (badge("note", "–", "checkpoint not compared")) " over " (grouped(*size)) " records" }
                CheckpointState::Rewritten(size) => { (badge("denied", "✕", "rewritten")) " other records were signed, " (grouped(*size)) " of them" }
                CheckpointState::CutOff(size) => { (badge("denied", "✕", "cut off")) " " (grouped(*size)) " records were signed" }
                CheckpointState::Invalid(problem) => { (badge("denied", "✕", "checkpoint invalid")) " " (problem) }
            }
        }
    }

    /// Whether somebody has to look after it.
    pub(super) fn is_alarming(&self) -> bool {
        let is_wrong = matches!(
            self.checkpoint,
            CheckpointState::Rewritten(_) | CheckpointState::CutOff(_) | CheckpointState::Invalid(_)
        );
        self.fault.is_some() || is_wrong
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record_line;
    use super::*;
    use crate::audit::chain::LinkTerms;
    use crate::audit::checkpoint_path;
    use crate::signed_note::NoteSigner;

    const LOG: &str = "nitro-key-broker/audit/test";

    /// Lines of a chain, and the checkpoint over them.
    fn chained(count: u64) -> (Vec<Vec<u8>>, Checkpoint) {
        let mut head = ChainHead::of_new_log(LOG);
        let lines = (0..count)
            .map(|number| {
                let terms = LinkTerms { starts_file: number == 0, set_apart: None };
                head.link(&record_line(&number.to_string(), number), terms).unwrap()
            })
            .collect();
        (lines, Checkpoint { origin: LOG.to_owned(), size: count, root: head.tree.root() })
    }

    fn checked(lines: &[Vec<u8>], note: Option<&str>, key: Option<&NoteVerifier>) -> IntegrityState {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.jsonl");
        if let Some(note) = note {
            std::fs::write(checkpoint_path(&log), note).unwrap();
        }
        let mut integrity = Integrity::new(&log, key.cloned());
        lines.iter().for_each(|line| integrity.line(line));
        integrity.at_end()
    }

    #[test]
    fn a_log_is_held_against_its_chain_and_checkpoint() {
        let (signer, _) = NoteSigner::generate(LOG).unwrap();
        let (lines, checkpoint) = chained(20);
        let note = signer.sign(&checkpoint.to_text()).unwrap();
        let key = Some(signer.verifier());
        let state = |lines: &[Vec<u8>]| checked(lines, Some(&note), key);
        let whole = state(&lines);
        assert_eq!(
            whole,
            IntegrityState { chained: 20, fault: None, checkpoint: CheckpointState::Holds(20) }
        );
        assert!(!whole.is_alarming());

        // Read on before the checkpoint is seen.
        let (more, _) = chained(25);
        assert_eq!(state(&more).checkpoint, CheckpointState::Holds(20));
        assert_eq!(state(&lines[..19]).checkpoint, CheckpointState::CutOff(20));

        let mut changed = lines.clone();
        let at = changed[7].len() - 40;
        changed[7][at] ^= 1;
        let broken = state(&changed);
        assert!(broken.is_alarming() && broken.chained < 10, "{broken:?}");
        let missing = state(&[&lines[..5], &lines[6..]].concat());
        assert!(missing.fault.unwrap().starts_with("record 5: its number is 6"));

        // A whole chain that is another one.
        let mut other = ChainHead::of_new_log(LOG);
        let terms = || LinkTerms { starts_file: true, set_apart: None };
        let rewritten: Vec<_> =
            (0..20).map(|number| other.link(&record_line("x", number), terms()).unwrap()).collect();
        assert_eq!(state(&rewritten).checkpoint, CheckpointState::Rewritten(20));

        let other_signer = NoteSigner::generate(LOG).unwrap().0;
        let invalid = checked(&lines, Some(&note), Some(other_signer.verifier()));
        assert!(matches!(invalid.checkpoint, CheckpointState::Invalid(_)) && invalid.is_alarming());
        assert_eq!(checked(&lines, None, key).checkpoint, CheckpointState::None);
        assert_eq!(checked(&lines, Some(&note), None).checkpoint, CheckpointState::WithoutKey);
    }
}
