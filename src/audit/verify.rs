//! Whether a log is what the broker wrote: its chain, and the checkpoints that somebody kept.

use std::sync::Arc;

use super::chain::{Begin, ChainFault, ChainHead, ChainVerifier, SetApart, Step, read_link};
use super::reader::{Line, Place, ReadError};
use crate::crypto::sha256;
use crate::merkle::Hash;
use crate::signed_note::Checkpoint;

/// What a log is held against.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Checkpoints whose signatures are verified.
    pub checkpoints: Vec<Checkpoint>,
    /// Whether the oldest files may be elsewhere.
    pub begin: Begin,
}

/// A log in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where the chain ends; `None` of a log without records.
    pub head: Option<ChainHead>,
    /// The number of the first record that is there.
    pub first_sequence: u64,
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is between records, and the record behind says so.
    pub set_apart: Vec<(Place, SetApart)>,
    /// Bytes of an unfinished line at the end.
    pub unfinished_bytes: u64,
    /// Checkpoints that hold.
    pub checkpoints: u64,
    /// Checkpoints about records that are elsewhere.
    pub unchecked_checkpoints: u64,
}

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The number of the record that is bad; of a line that is none, the number that belongs there.
    pub sequence: u64,
    /// The line; `None` where it is missing.
    pub place: Option<Place>,
    /// What is wrong.
    pub fault: Fault,
}

impl Finding {
    /// The line in words, to follow the record's number.
    pub fn place_text(&self) -> String {
        self.place.as_ref().map_or_else(String::new, |Place { file, line, offset }| {
            format!(" (line {line} of {}, byte {offset})", file.display())
        })
    }
}

/// What can be wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line breaks the chain.
    #[error(transparent)]
    Chain(#[from] ChainFault),
    /// The chain is whole and not the one that was signed.
    #[error(
        "a signed checkpoint over the first {size} records says the root {signed}, and theirs is {actual}: they were \
         rewritten"
    )]
    Rewritten {
        /// Records under the checkpoint.
        size: u64,
        /// The root that was signed, in hex.
        signed: String,
        /// The root of the records that are there.
        actual: String,
    },
    /// There are fewer records than were signed.
    #[error("a signed checkpoint covers {size} records, and there are {actual}: the log was cut off")]
    CutOff {
        /// Records under the checkpoint.
        size: u64,
        /// Records that are there.
        actual: u64,
    },
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {signed:?}, and this one is {actual:?}")]
    AnotherLog {
        /// The checkpoint's origin.
        signed: String,
        /// What the first record says.
        actual: String,
    },
}

impl Fault {
    /// A stable name of the rule that is broken.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Chain(ChainFault::NoRecord(_)) => "no_record",
            Self::Chain(ChainFault::Sequence { .. }) => "sequence",
            Self::Chain(ChainFault::Hash { .. }) => "hash",
            Self::Chain(ChainFault::SetApart { .. }) => "set_apart",
            Self::Chain(ChainFault::Start { .. }) => "start",
            Self::Chain(ChainFault::Begin) => "begin",
            Self::Rewritten { .. } => "rewritten",
            Self::CutOff { .. } => "cut_off",
            Self::AnotherLog { .. } => "another_log",
        }
    }
}

/// Reads a log to its end or to the first thing that is wrong. `progress` is told the bytes read so far, now and then.
///
/// # Errors
/// When it cannot be read.
pub fn verify(
    lines: impl Iterator<Item = Result<Line, ReadError>>,
    expectations: Expectations,
    progress: &mut dyn FnMut(u64),
) -> Result<Result<Verified, Finding>, ReadError> {
    let mut walk = Walk::new(expectations);
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let line = line?;
        if let Err(finding) = walk.line(&line) {
            let next = lines.next().transpose()?;
            return Ok(Err(walk.blame(finding, &line, next.as_ref())));
        }
        if walk.lines.is_multiple_of(PROGRESS_LINES) {
            progress(walk.verified.bytes);
        }
    }
    Ok(walk.finish())
}

/// Lines from one word of progress to the next.
const PROGRESS_LINES: u64 = 4096;

/// The way through a log so far.
#[derive(Clone, Debug)]
pub struct Walk {
    chain: ChainVerifier,
    /// Those that were not reached, the next last.
    checkpoints: Vec<Checkpoint>,
    /// Where the last record stands, and where the first line behind it.
    last_record: Option<Place>,
    first_apart: Option<Place>,
    file: Option<Arc<std::path::Path>>,
    lines: u64,
    verified: Verified,
}

impl Walk {
    /// Before the first line.
    pub fn new(expectations: Expectations) -> Self {
        let Expectations { mut checkpoints, begin } = expectations;
        checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size));
        Self {
            chain: ChainVerifier::new(begin),
            checkpoints,
            last_record: None,
            first_apart: None,
            file: None,
            lines: 0,
            verified: Verified {
                head: None,
                first_sequence: 0,
                files: 0,
                bytes: 0,
                set_apart: Vec::new(),
                unfinished_bytes: 0,
                checkpoints: 0,
                unchecked_checkpoints: 0,
            },
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// With what is wrong. Which of two lines is to blame, [`Walk::blame`] says.
    pub fn line(&mut self, line: &Line) -> Result<(), Finding> {
        self.lines += 1;
        self.verified.bytes += line.bytes.len() as u64;
        if self.file.as_ref() != Some(&line.place.file) {
            self.file = Some(Arc::clone(&line.place.file));
            self.verified.files += 1;
        }
        let begins = self.chain.head().is_none();
        match self.chain.line(&line.bytes) {
            Ok(Step::SetApart) => {
                self.first_apart.get_or_insert_with(|| line.place.clone());
            }
            Ok(Step::Record { sequence, set_apart }) => {
                if begins {
                    self.verified.first_sequence = sequence;
                    self.begin_with(sequence, &line.place)?;
                }
                if let (Some(place), Some(set_apart)) = (self.first_apart.take(), set_apart) {
                    self.verified.set_apart.push((place, set_apart));
                }
                self.last_record = Some(line.place.clone());
                self.check_checkpoints(sequence + 1)?;
            }
            Err(fault) => return Err(self.finding(fault, Some(&line.place))),
        }
        Ok(())
    }

    /// The same finding with the line named that is to blame: where a record does not state the hash of the line before,
    /// either may have been changed, and the line behind both tells which.
    pub fn blame(&self, finding: Finding, line: &Line, next: Option<&Line>) -> Finding {
        let Fault::Chain(ChainFault::Hash { follower, .. }) = &finding.fault else { return finding };
        let stated_behind =
            next.and_then(|next| read_link(&next.bytes).ok()).and_then(|link| link.previous_hash);
        match stated_behind {
            Some(stated) if stated != sha256(&[&line.bytes]) => Finding {
                sequence: *follower,
                place: Some(line.place.clone()),
                fault: Fault::Chain(ChainFault::Hash {
                    follower: follower + 1,
                    stated: hex::encode(stated),
                    actual: hex::encode(sha256(&[&line.bytes])),
                }),
            },
            _ => finding,
        }
    }

    /// At the end of all lines.
    ///
    /// # Errors
    /// With what is wrong there.
    pub fn finish(mut self) -> Result<Verified, Finding> {
        match self.chain.finish() {
            Ok(bytes) => self.verified.unfinished_bytes = bytes,
            Err(fault) => return Err(self.finding(fault, None)),
        }
        self.finish_checkpoints()?;
        self.verified.head = self.chain.head().cloned();
        Ok(self.verified)
    }

    /// At the end of all lines, as far as checkpoints go.
    ///
    /// # Errors
    /// When one covers more records than there are.
    pub fn finish_checkpoints(&mut self) -> Result<(), Finding> {
        let records = self.chain.head().map_or(0, ChainHead::next_sequence);
        if records == 0 {
            self.check_checkpoints(0)?;
        }
        match self.checkpoints.first() {
            None => Ok(()),
            Some(unreached) => {
                let fault = Fault::CutOff { size: unreached.size, actual: records };
                Err(Finding { sequence: records, place: None, fault })
            }
        }
    }

    /// The chain so far.
    pub fn chain(&self) -> &ChainVerifier {
        &self.chain
    }

    fn begin_with(&mut self, sequence: u64, place: &Place) -> Result<(), Finding> {
        let log = self.chain.head().map(|head| head.log.clone()).unwrap_or_default();
        if let Some(other) = self.checkpoints.iter().find(|checkpoint| checkpoint.origin != log) {
            let fault = Fault::AnotherLog { signed: other.origin.clone(), actual: log };
            return Err(Finding { sequence, place: Some(place.clone()), fault });
        }
        let before = self.checkpoints.len();
        // What is over records that are elsewhere, or over none, says no more than the log's name.
        self.checkpoints.retain(|checkpoint| checkpoint.size > sequence);
        self.verified.unchecked_checkpoints = (before - self.checkpoints.len()) as u64;
        Ok(())
    }

    fn check_checkpoints(&mut self, size: u64) -> Result<(), Finding> {
        while let Some(checkpoint) = self.checkpoints.pop_if(|checkpoint| checkpoint.size <= size) {
            let actual: Hash = self.chain.head().map_or_else(|| sha256(&[]), |head| head.tree.root());
            if checkpoint.size != size || checkpoint.root != actual {
                let fault = Fault::Rewritten {
                    size: checkpoint.size,
                    signed: hex::encode(checkpoint.root),
                    actual: hex::encode(actual),
                };
                return Err(Finding {
                    sequence: checkpoint.size.saturating_sub(1),
                    place: self.last_record.clone(),
                    fault,
                });
            }
            self.verified.checkpoints += 1;
        }
        Ok(())
    }

    fn finding(&self, fault: ChainFault, place: Option<&Place>) -> Finding {
        let next = self.chain.head().map_or(0, ChainHead::next_sequence);
        let (sequence, place) = match &fault {
            ChainFault::Hash { follower, .. } => (follower.saturating_sub(1), self.last_record.as_ref()),
            ChainFault::NoRecord(_) => (next, self.first_apart.as_ref()),
            ChainFault::Sequence { .. }
            | ChainFault::SetApart { .. }
            | ChainFault::Start { .. }
            | ChainFault::Begin => (next, place),
        };
        Finding { sequence, place: place.cloned(), fault: fault.into() }
    }
}
