//! The file of the log: appended to, synchronised, and put aside when it is long or old.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chain::{Begin, ChainHead, ChainVerifier, SetApart};
use super::reader::{Lines, Segment, parent, rotated_path, segments};
use super::record::AuditRecord;
use super::sink::ChainedRecord;
use super::verify::{Expectations, Finding, Walk};
use crate::signed_note::Checkpoint;
use crate::time::UnixTime;

/// Records that another durable sink has and the file does not, at most; they wait for the file to be written again.
const MAX_BACKLOG_RECORDS: usize = 4096;

/// When the file is put aside and another begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Once it has so many bytes.
    pub max_bytes: u64,
    /// Once its first record is so old.
    pub max_age: Duration,
}

impl Default for Rotation {
    /// 64 MiB, some 30,000 records, which a start reads in a fraction of a second; and thirty days.
    fn default() -> Self {
        Self { max_bytes: 64 * 1024 * 1024, max_age: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

/// Why the log that is there cannot be gone on with.
#[derive(Debug)]
pub(super) enum OpenError {
    Io(io::Error),
    /// It is not what the broker wrote.
    Finding(Box<Finding>),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    rotation: Rotation,
    /// A pipe or a device is written to as well as it goes: it has no chain to go on with and is never put aside.
    is_regular: bool,
    /// Where the chain ends in this file; `None` where the log has no record yet.
    head: Option<ChainHead>,
    /// The first record in this file, and when it was made.
    first: Option<(u64, UnixTime)>,
    durable_len: u64,
    tail: Tail,
    /// What came while the file could not be written.
    backlog: VecDeque<ChainedRecord>,
    /// Records are missing that nobody can give it any more: the next begins a file.
    has_gap: bool,
}

/// What is behind the last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing.
    Clean,
    /// Bytes that are no record; with `open_line`, their last line is yet to be ended.
    Apart { set_apart: Option<SetApart>, open_line: bool },
    /// A write failed and could not be taken back, so nobody has looked yet.
    Unknown,
}

impl LogFile {
    /// Opens or makes the file, and follows the chain in it to its end. A signed checkpoint must hold.
    pub(super) fn open(
        path: &Path,
        rotation: Rotation,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self, OpenError> {
        let file = open_locked(path)?;
        let metadata = file.metadata()?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            rotation,
            is_regular: metadata.is_file(),
            head: None,
            first: None,
            durable_len: 0,
            tail: Tail::Clean,
            backlog: VecDeque::new(),
            has_gap: false,
        };
        if log.is_regular {
            log.durable_len = metadata.len();
            log.read_back(checkpoint)?;
        }
        Ok(log)
    }

    /// Where the chain ends; `None` where there is no record yet.
    pub(super) fn head(&self) -> Option<&ChainHead> {
        self.head.as_ref()
    }

    /// What the next record must say because of what is in the file. Puts the file aside where its time has come.
    pub(super) fn prepare(&mut self, now: UnixTime) -> io::Result<(bool, Option<SetApart>)> {
        if self.tail == Tail::Unknown {
            self.look_at_tail()?;
        }
        let set_apart = match self.tail {
            Tail::Apart { set_apart, .. } => set_apart,
            Tail::Clean | Tail::Unknown => None,
        };
        let is_due = self.first.is_some_and(|(_, begun)| {
            self.durable_len >= self.rotation.max_bytes || begun.saturating_add(self.rotation.max_age) <= now
        });
        if set_apart.is_none() && (is_due || self.has_gap) && self.is_regular && self.first.is_some() {
            self.put_aside()?;
        }
        Ok((self.first.is_none(), set_apart))
    }

    /// Appends records and synchronises. What fails is taken back, for their requests are refused.
    pub(super) fn append(
        &mut self,
        records: &[ChainedRecord],
        head: &ChainHead,
        now: UnixTime,
    ) -> io::Result<()> {
        let known = self.head.as_ref().map_or(0, ChainHead::next_sequence);
        let new =
            self.backlog.iter().chain(records).filter(|record| record.sequence >= known || !self.is_regular);
        let separator: &[u8] = match self.tail {
            Tail::Apart { open_line: true, .. } | Tail::Unknown => b"\n",
            Tail::Clean | Tail::Apart { open_line: false, .. } => b"",
        };
        let lines: Vec<&[u8]> =
            [separator].into_iter().chain(new.map(|record| record.line.as_slice())).collect();
        let lines = lines.concat();
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            if self.file.set_len(self.durable_len).is_err() {
                self.tail = Tail::Unknown;
            }
            return Err(error);
        }
        if self.first.is_none() {
            self.first = self.backlog.front().or(records.first()).map(|record| (record.sequence, now));
        }
        self.durable_len += lines.len() as u64;
        self.tail = Tail::Clean;
        self.backlog.clear();
        self.has_gap = false;
        self.head = Some(head.clone());
        Ok(())
    }

    /// Keeps what another sink has, for when the file can be written again.
    pub(super) fn put_off(&mut self, records: &[ChainedRecord]) {
        self.backlog.extend(records.iter().cloned());
        if self.backlog.len() > MAX_BACKLOG_RECORDS {
            tracing::error!(
                missing = self.backlog.len(),
                "the audit log's file lacks records that other sinks have; it goes on with another file"
            );
            self.backlog.clear();
            self.has_gap = true;
        }
    }

    /// Goes on behind records that another sink has and the file never will.
    pub(super) fn skip_to(&mut self, head: &ChainHead) {
        if self.head.as_ref().map_or(0, ChainHead::next_sequence) < head.next_sequence() {
            self.has_gap = true;
        }
    }

    fn read_back(&mut self, checkpoint: Option<Checkpoint>) -> Result<(), OpenError> {
        let older = segments(&self.path).map_err(|error| error.error)?;
        let older = older.into_iter().rfind(|segment| segment.first_sequence.is_some());
        let expectations =
            Expectations { checkpoints: checkpoint.into_iter().collect(), begin: Begin::AtAnyFile };
        let mut walk = Walk::new(expectations);
        // A file that was begun and has no record yet says nothing of the chain.
        let current = Segment { path: self.path.as_path().into(), first_sequence: None };
        let begins = self.first_record(&current)?;
        let files: Vec<Segment> = older.filter(|_| begins.is_none()).into_iter().chain([current]).collect();
        let mut lines = Lines::of_segments(files).peekable();
        let mut open_line = false;
        while let Some(line) = lines.next() {
            let mut line = line.map_err(|error| error.error)?;
            if lines.peek().is_none() && !line.bytes.ends_with(b"\n") {
                // As it will be once its end is written: a whole record, or a torn one on a line of its own.
                line.bytes.push(b'\n');
                open_line = true;
            }
            walk.line(&line).map_err(|finding| OpenError::Finding(Box::new(finding)))?;
        }
        let chain = walk.chain();
        self.head = chain.head().cloned();
        self.first = begins;
        let set_apart = chain.set_apart();
        if set_apart.is_some() || open_line {
            self.tail = Tail::Apart { set_apart, open_line };
        }
        // Signed checkpoints count the records that are there, whatever lies behind.
        walk.finish_checkpoints().map_err(|finding| OpenError::Finding(Box::new(finding)))
    }

    fn first_record(&self, segment: &Segment) -> Result<Option<(u64, UnixTime)>, OpenError> {
        for line in Lines::of_segments(vec![segment.clone()]) {
            let line = line.map_err(|error| error.error)?;
            if let Ok(link) = super::chain::read_link(&line.bytes) {
                let time =
                    AuditRecord::parse(&line.bytes).map_or_else(|_| UnixTime::now(), |record| record.time);
                return Ok(Some((link.sequence, time)));
            }
        }
        Ok(None)
    }

    /// Takes back what a failed write left, or reads what it is.
    fn look_at_tail(&mut self) -> io::Result<()> {
        if self.file.set_len(self.durable_len).is_ok() {
            self.tail = Tail::Clean;
            return Ok(());
        }
        if !self.is_regular {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(self.durable_len))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let open_line = bytes.last().is_some_and(|last| *last != b'\n');
        if open_line {
            bytes.push(b'\n');
        }
        let begin = || ChainVerifier::new(Begin::AtRecord0);
        let mut chain = self.head.clone().map_or_else(begin, ChainVerifier::at);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            chain.line(line).map_err(io::Error::other)?;
        }
        self.durable_len += bytes.len() as u64 - u64::from(open_line);
        self.head = chain.head().cloned();
        let set_apart = chain.set_apart();
        self.tail = match set_apart.is_some() || open_line {
            true => Tail::Apart { set_apart, open_line },
            false => Tail::Clean,
        };
        if set_apart.is_some() && !self.backlog.is_empty() {
            // These do not say what they are set apart by.
            self.backlog.clear();
            self.has_gap = true;
        }
        Ok(())
    }

    /// Renames the file to the number of its first record, and begins another.
    fn put_aside(&mut self) -> io::Result<()> {
        let Some((first_sequence, _)) = self.first else { return Ok(()) };
        let rotated = rotated_path(&self.path, first_sequence);
        let mut new_path = self.path.clone().into_os_string();
        new_path.push(".new");
        let new_path = PathBuf::from(new_path);
        let new = open_locked(&new_path)?;
        new.set_len(0)?;
        std::fs::rename(&self.path, &rotated)?;
        if let Err(error) = std::fs::rename(&new_path, &self.path) {
            std::fs::rename(&rotated, &self.path)?;
            return Err(error);
        }
        File::open(parent(&self.path))?.sync_all()?;
        tracing::info!(file = %rotated.display(), "the audit log goes on in another file");
        self.file = new;
        self.durable_len = 0;
        self.first = None;
        Ok(())
    }
}

fn open_locked(path: &Path) -> io::Result<File> {
    let existed = path.exists();
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    if !existed {
        File::open(parent(path))?.sync_all()?;
    }
    if !file.metadata()?.is_file() {
        return Ok(file);
    }
    // A second writer would cut this one's records off when it takes back a failed write.
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another broker writes to it"),
        TryLockError::Error(error) => error,
    })?;
    Ok(file)
}
