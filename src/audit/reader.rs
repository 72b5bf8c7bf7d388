//! Reading a log back: its files in order, line by line, forwards or from the end.
//!
//! The newest records are in the file that the log is named by, `audit.jsonl`; older ones in files beside it that are
//! named by the number of their first record, `audit-00000000000000004096.jsonl`. A line that is no record is handed out
//! as what it is, and the rest is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::read_link;
use super::record::{AuditRecord, MAX_LINE_BYTES, RecordError};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Digits of a sequence number in a file's name: those of the highest, so that names sort as numbers do.
const SEQUENCE_DIGITS: usize = 20;

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: Arc<Path>,
    /// The number of its first record; `None` of the file that is written to.
    pub first_sequence: Option<u64>,
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line's number in the file, from 1; 0 where it is read from the end and not known.
    pub line: u64,
    /// Bytes of the file before it.
    pub offset: u64,
}

/// One line, its end included where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands.
    pub place: Place,
    /// Its bytes, of which there are [`MAX_LINE_BYTES`] at most; the rest of a longer one comes as lines of their own.
    pub bytes: Vec<u8>,
}

/// A line read as a record, or why it is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// The record.
    pub record: Result<AuditRecord, RecordError>,
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", .path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

/// The files of the log at `path` that are there, the oldest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn segments(path: &Path) -> Result<Vec<Segment>, ReadError> {
    let directory = parent(path);
    let read_error = |error| ReadError { path: directory.to_owned(), error };
    let mut older = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(read_error)? {
        let candidate = path.with_file_name(entry.map_err(read_error)?.file_name());
        if let Some(first_sequence) = first_sequence(path, &candidate) {
            older.push(Segment { path: candidate.into(), first_sequence: Some(first_sequence) });
        }
    }
    older.sort_by_key(|segment| segment.first_sequence);
    if path.exists() {
        older.push(Segment { path: path.into(), first_sequence: None });
    }
    Ok(older)
}

/// Whether the newest record of the log at `path` is part of a chain.
///
/// # Errors
/// When the log cannot be read.
pub fn is_chained(path: &Path) -> Result<bool, ReadError> {
    let mut newest = NewestFirst::of_log(path)?;
    newest
        .find_map(|line| line.map(|line| read_link(&line.bytes).is_ok().then_some(true)).transpose())
        .unwrap_or(Ok(false))
}

/// What the current file is called once another is written to.
pub(super) fn rotated_path(path: &Path, first_sequence: u64) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    path.with_file_name(format!("{stem}-{first_sequence:020}{}", extension.unwrap_or_default()))
}

/// The directory that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The number in the name of an older file of the log at `path`.
fn first_sequence(path: &Path, candidate: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    if candidate.extension() != path.extension() {
        return None;
    }
    let digits = candidate.file_stem()?.to_str()?.strip_prefix(stem)?.strip_prefix('-')?;
    let is_number = digits.len() == SEQUENCE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// The lines of a log, the oldest first. Files are opened one after the other, and only a line is held at a time.
#[derive(Debug)]
pub struct Lines {
    remaining: std::vec::IntoIter<Segment>,
    current: Option<CurrentFile>,
}

#[derive(Debug)]
struct CurrentFile {
    reader: BufReader<File>,
    next: Place,
}

impl Lines {
    /// All lines of the log at `path`.
    ///
    /// # Errors
    /// When its directory cannot be read.
    pub fn of_log(path: &Path) -> Result<Self, ReadError> {
        Ok(Self::of_segments(segments(path)?))
    }

    /// The lines of these files.
    pub fn of_segments(segments: Vec<Segment>) -> Self {
        Self { remaining: segments.into_iter(), current: None }
    }

    /// The same lines as records.
    pub fn records(self) -> impl Iterator<Item = Result<Entry, ReadError>> {
        self.map(|line| line.map(Entry::of))
    }

    fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(segment) = self.remaining.next() else { return Ok(None) };
                    self.current.insert(CurrentFile::open(&segment.path)?)
                }
            };
            if let Some(line) = current.next_line()? {
                return Ok(Some(line));
            }
            self.current = None;
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_line().transpose();
        if matches!(line, Some(Err(_))) {
            // What cannot be read now is not tried for ever.
            *self = Self::of_segments(Vec::new());
        }
        line
    }
}

impl CurrentFile {
    fn open(path: &Arc<Path>) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|error| ReadError { path: path.to_path_buf(), error })?;
        let next = Place { file: Arc::clone(path), line: 1, offset: 0 };
        Ok(Self { reader: BufReader::with_capacity(CHUNK_BYTES, file), next })
    }

    fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(MAX_LINE_BYTES as u64)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| ReadError { path: self.next.file.to_path_buf(), error })?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let place = self.next.clone();
        self.next.line += 1;
        self.next.offset += bytes.len() as u64;
        Ok(Some(Line { place, bytes }))
    }
}

impl Entry {
    fn of(line: Line) -> Self {
        Self { record: AuditRecord::parse(&line.bytes), place: line.place }
    }
}

/// The lines of a log from its end, the newest first: what came last is at hand however long the log is.
#[derive(Debug)]
pub struct NewestFirst {
    /// Files that are not open yet, the newest last.
    remaining: Vec<Segment>,
    current: Option<Backwards>,
}

#[derive(Debug)]
struct Backwards {
    path: Arc<Path>,
    file: File,
    /// Bytes of the file before those in `pending`.
    unread: u64,
    /// Read and not handed out: a piece of the file that ends where the line handed out last begins.
    pending: Vec<u8>,
}

impl NewestFirst {
    /// All lines of the log at `path`, as it is now.
    ///
    /// # Errors
    /// When its directory cannot be read.
    pub fn of_log(path: &Path) -> Result<Self, ReadError> {
        Ok(Self { remaining: segments(path)?, current: None })
    }

    /// The lines of `older`, behind those in the first `len` bytes of `last`: where a line was handed out, its offset says
    /// where to go on.
    ///
    /// # Errors
    /// When `last` cannot be opened, or is shorter.
    pub fn of_start(older: Vec<Segment>, last: &Segment, len: u64) -> Result<Self, ReadError> {
        let opened = Backwards::open(&last.path).and_then(|opened| opened.shortened(len));
        let current = opened.map_err(|error| ReadError { path: last.path.to_path_buf(), error })?;
        Ok(Self { remaining: older, current: Some(current) })
    }

    /// The same lines as records.
    pub fn records(self) -> impl Iterator<Item = Result<Entry, ReadError>> {
        self.map(|line| line.map(Entry::of))
    }

    fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(segment) = self.remaining.pop() else { return Ok(None) };
                    let opened = Backwards::open(&segment.path);
                    let read_error = |error| ReadError { path: segment.path.to_path_buf(), error };
                    self.current.insert(opened.map_err(read_error)?)
                }
            };
            let read = current.next_line();
            let path = &current.path;
            if let Some(line) = read.map_err(|error| ReadError { path: path.to_path_buf(), error })? {
                return Ok(Some(line));
            }
            self.current = None;
        }
    }
}

impl Iterator for NewestFirst {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_line().transpose();
        if matches!(line, Some(Err(_))) {
            *self = Self { remaining: Vec::new(), current: None };
        }
        line
    }
}

impl Backwards {
    fn open(path: &Arc<Path>) -> io::Result<Self> {
        let file = File::open(path)?;
        let unread = file.metadata()?.len();
        Ok(Self { path: Arc::clone(path), file, unread, pending: Vec::new() })
    }

    fn shortened(self, len: u64) -> io::Result<Self> {
        if len > self.unread {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter"));
        }
        Ok(Self { unread: len, ..self })
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        // Where nothing can end a line any more: the last byte is the end of this one.
        let mut searched = 1;
        let start = loop {
            let before_last = self.pending.len().saturating_sub(searched);
            let newline =
                self.pending.get(..before_last).unwrap_or_default().iter().rposition(|byte| *byte == b'\n');
            if let Some(newline) = newline {
                break newline + 1;
            }
            if self.unread == 0 || self.pending.len() >= MAX_LINE_BYTES {
                break self.pending.len().saturating_sub(MAX_LINE_BYTES);
            }
            searched = self.pending.len().max(1);
            self.read_before()?;
        };
        let bytes = self.pending.split_off(start);
        let place = Place { file: Arc::clone(&self.path), line: 0, offset: self.unread + start as u64 };
        Ok((!bytes.is_empty()).then_some(Line { place, bytes }))
    }

    /// Reads the piece of the file before `pending`.
    fn read_before(&mut self) -> io::Result<()> {
        let len = self.unread.min(CHUNK_BYTES as u64);
        self.unread -= len;
        self.file.seek(SeekFrom::Start(self.unread))?;
        let mut piece = Vec::new();
        self.file.by_ref().take(len).read_to_end(&mut piece)?;
        if piece.len() as u64 != len {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut while it was read"));
        }
        piece.append(&mut self.pending);
        self.pending = piece;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log_of(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let path = directory.path().join("audit.jsonl");
        (directory, path)
    }

    fn texts(lines: impl Iterator<Item = Result<Line, ReadError>>) -> Vec<String> {
        lines.map(|line| String::from_utf8(line.unwrap().bytes).unwrap()).collect()
    }

    #[test]
    fn files_are_read_in_the_order_of_their_numbers() {
        let (_directory, path) = log_of(&[
            ("audit.jsonl", b"5\n6"),
            ("audit-00000000000000000003.jsonl", b"3\n4\n"),
            ("audit-00000000000000000000.jsonl", b"0\n1\n2\n"),
            ("audit-1.jsonl", b"not of the log"),
            ("audit-00000000000000000009.txt", b"not of the log"),
            ("other-00000000000000000009.jsonl", b"not of the log"),
            ("audit.checkpoint", b"not of the log"),
        ]);
        assert_eq!(texts(Lines::of_log(&path).unwrap()), ["0\n", "1\n", "2\n", "3\n", "4\n", "5\n", "6"]);
        let backwards = texts(NewestFirst::of_log(&path).unwrap());
        assert_eq!(backwards, ["6", "5\n", "4\n", "3\n", "2\n", "1\n", "0\n"]);
        let fifth = Lines::of_log(&path).unwrap().nth(4).unwrap().unwrap().place;
        assert_eq!((fifth.line, fifth.offset), (2, 2));
        assert_eq!(rotated_path(&path, 3), path.with_file_name("audit-00000000000000000003.jsonl"));
    }

    #[test]
    fn what_is_no_record_is_handed_out_as_such() {
        let (_directory, path) = log_of(&[("audit.jsonl", b"{\"torn\":\n")]);
        let entries: Vec<Entry> = Lines::of_log(&path).unwrap().records().map(Result::unwrap).collect();
        assert!(matches!(entries[0].record, Err(RecordError::Json(_))), "{entries:?}");
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn a_log_that_is_not_there_has_no_lines() {
        let (_directory, path) = log_of(&[]);
        assert_eq!(Lines::of_log(&path).unwrap().count(), 0);
        assert!(Lines::of_log(Path::new("/nonexistent/audit.jsonl")).is_err());
    }

    #[test]
    fn a_line_without_end_is_cut_and_not_held() {
        let endless = vec![b'x'; MAX_LINE_BYTES + 10];
        let (_directory, path) = log_of(&[("audit.jsonl", &endless)]);
        let lengths = |lines: &mut dyn Iterator<Item = Result<Line, ReadError>>| -> Vec<usize> {
            lines.map(|line| line.unwrap().bytes.len()).collect()
        };
        assert_eq!(lengths(&mut Lines::of_log(&path).unwrap()), [MAX_LINE_BYTES, 10]);
        let backwards = lengths(&mut NewestFirst::of_log(&path).unwrap());
        assert_eq!(backwards.iter().sum::<usize>(), endless.len());
        assert!(backwards.iter().all(|length| *length <= MAX_LINE_BYTES));
    }

    proptest! {
        #[test]
        fn both_ways_hand_out_every_byte(
            pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400), 1..3),
            long in 0..2 * CHUNK_BYTES,
        ) {
            let mut newest = pieces[0].clone();
            newest.extend(vec![b'y'; long]);
            newest.extend(&pieces[0]);
            let older = pieces.get(1).cloned().unwrap_or_default();
            let (_directory, path) = log_of(&[
                ("audit.jsonl", newest.as_slice()), ("audit-00000000000000000000.jsonl", older.as_slice()),
            ]);
            let forwards: Vec<Line> = Lines::of_log(&path).unwrap().map(Result::unwrap).collect();
            let mut backwards: Vec<Line> = NewestFirst::of_log(&path).unwrap().map(Result::unwrap).collect();
            backwards.reverse();
            // From any line on, the rest is the same.
            if let Some(at) = forwards.len().checked_sub(2) {
                let (files, place) = (segments(&path).unwrap(), &forwards[at].place);
                let current = files.iter().position(|segment| segment.path == place.file).unwrap();
                let rest = NewestFirst::of_start(files[..current].to_vec(), &files[current], place.offset).unwrap();
                let rest: Vec<u64> = rest.map(|line| line.unwrap().place.offset).collect();
                let before: Vec<u64> = forwards[..at].iter().rev().map(|line| line.place.offset).collect();
                prop_assert_eq!(rest, before);
            }
            let places = |lines: &[Line]| -> Vec<(Arc<Path>, u64, Vec<u8>)> {
                lines.iter().map(|line| (line.place.file.clone(), line.place.offset, line.bytes.clone())).collect()
            };
            prop_assert_eq!(places(&forwards), places(&backwards));
            let whole: Vec<u8> = forwards.iter().flat_map(|line| line.bytes.clone()).collect();
            prop_assert_eq!(whole, [older, newest].concat());
        }
    }
}
