//! The audit log as it grows: every line once, also across rotations.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::audit::reader::segments;
use crate::audit::record::MAX_LINE_BYTES;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// Reads a log from its first line on, and goes on where it was.
pub(super) struct Follower {
    path: PathBuf,
    current: Option<Current>,
}

/// The file that is read at the moment; it may have another name by now.
struct Current {
    reader: BufReader<File>,
    id: (u64, u64),
    /// Bytes taken from it.
    offset: u64,
    /// What was read of a line whose end is not there yet.
    partial: Vec<u8>,
}

/// What came next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// A line, its end included where it has one.
    Line(Vec<u8>),
    /// Nothing, for now.
    End,
    /// The log is another one than before: what was read of it does not count any more, and reading begins anew.
    Reset,
}

impl Follower {
    /// At the start of the log at `path`, which need not be there yet.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), current: None }
    }

    /// The next line, if there is one.
    ///
    /// # Errors
    /// When a file cannot be read; reading can be tried again.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        loop {
            let Some(current) = &mut self.current else {
                match self.first_file()? {
                    Some(first) => self.current = Some(first),
                    None => return Ok(Next::End),
                }
                continue;
            };
            if let Some(line) = current.next_line()? {
                return Ok(Next::Line(line));
            }
            if current.was_cut()? {
                self.current = None;
                return Ok(Next::Reset);
            }
            match self.file_after_current()? {
                After::None => return Ok(Next::End),
                After::Gone => {
                    self.current = None;
                    return Ok(Next::Reset);
                }
                After::File(next) => {
                    // More may have come before the file was closed.
                    let Some(current) = &mut self.current else { continue };
                    if let Some(line) = current.next_line()? {
                        return Ok(Next::Line(line));
                    }
                    let torn = std::mem::take(&mut current.partial);
                    self.current = Some(*next);
                    if !torn.is_empty() {
                        return Ok(Next::Line(torn));
                    }
                }
            }
        }
    }

    fn first_file(&self) -> io::Result<Option<Current>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let found = segments(&self.path).map_err(|error| error.error)?;
        found.first().map(|segment| Current::open(&segment.path)).transpose()
    }

    fn file_after_current(&self) -> io::Result<After> {
        let Some(current) = &self.current else { return Ok(After::None) };
        let mut found = segments(&self.path).map_err(|error| error.error)?.into_iter();
        let is_current =
            |path: &Path| std::fs::metadata(path).is_ok_and(|metadata| id(&metadata) == current.id);
        if !found.by_ref().any(|segment| is_current(&segment.path)) {
            return Ok(After::Gone);
        }
        Ok(match found.next() {
            Some(next) => After::File(Box::new(Current::open(&next.path)?)),
            None => After::None,
        })
    }
}

enum After {
    None,
    File(Box<Current>),
    Gone,
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let id = id(&file.metadata()?);
        Ok(Self { reader: BufReader::with_capacity(CHUNK_BYTES, file), id, offset: 0, partial: Vec::new() })
    }

    /// The next line that is whole, its end included. Of one that is too long, the pieces.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let room = MAX_LINE_BYTES.saturating_sub(self.partial.len());
        let read = self.reader.by_ref().take(room as u64).read_until(b'\n', &mut self.partial)?;
        self.offset += read as u64;
        let is_whole = self.partial.last() == Some(&b'\n') || self.partial.len() >= MAX_LINE_BYTES;
        Ok(is_whole.then(|| std::mem::take(&mut self.partial)))
    }

    /// Whether the file is shorter than what was read of it.
    fn was_cut(&self) -> io::Result<bool> {
        Ok(self.reader.get_ref().metadata()?.len() < self.offset)
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::super::tests::record_line;
    use super::*;
    use crate::audit::record::AuditRecord;

    fn ids(follower: &mut Follower) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            match follower.next().unwrap() {
                Next::Line(line) => ids.push(
                    AuditRecord::parse(&line).map_or("unreadable".to_owned(), |record| record.event_id),
                ),
                Next::Reset => ids.push("reset".to_owned()),
                Next::End => return ids,
            }
        }
    }

    fn append(path: &Path, bytes: &[u8]) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn every_record_comes_once_across_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut follower = Follower::new(&path);
        assert_eq!(ids(&mut follower), [""; 0]);
        append(&path, &record_line("a", 1));
        assert_eq!(ids(&mut follower), ["a"]);
        let line = record_line("b", 2);
        append(&path, &line[..20]);
        assert_eq!(ids(&mut follower), [""; 0]);
        append(&path, &line[20..]);
        append(&path, b"{torn\n");
        append(&path, &record_line("c", 3));
        fs::rename(&path, folder.path().join("audit-00000000000000000000.jsonl")).unwrap();
        append(&path, &record_line("d", 4));
        assert_eq!(ids(&mut follower), ["b", "unreadable", "c", "d"]);
        fs::rename(&path, folder.path().join("audit-00000000000000000004.jsonl")).unwrap();
        assert_eq!(ids(&mut follower), [""; 0]);
        append(&path, &record_line("e", 5));
        assert_eq!(ids(&mut follower), ["e"]);
        assert_eq!(ids(&mut Follower::new(&path)), ["a", "b", "unreadable", "c", "d", "e"]);
    }

    #[test]
    fn another_log_in_its_place_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        append(&path, &record_line("a", 1));
        append(&path, &record_line("b", 2));
        let mut follower = Follower::new(&path);
        assert_eq!(ids(&mut follower), ["a", "b"]);
        fs::write(&path, record_line("c", 3)).unwrap();
        assert_eq!(ids(&mut follower), ["reset", "c"]);
        fs::remove_file(&path).unwrap();
        append(&path, &record_line("d", 4));
        assert_eq!(ids(&mut follower), ["reset", "d"]);
    }
}
