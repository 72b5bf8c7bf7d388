use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Recorded;
use crate::metrics::AuditMetrics;

/// Records waiting to be written at most; more requests wait their turn.
const QUEUE_LEN: usize = 4096;
/// Records that one synchronisation makes durable at most.
const MAX_BATCH: usize = 1024;
/// While other requests are being carried out, a batch waits for their records: so long for each record of the batch
/// before it. The wait grows to its longest only where records come faster than this, so that a shared synchronisation
/// pays; others hardly wait.
const GATHERING_TIME_PER_RECORD: Duration = Duration::from_micros(500);
const MAX_GATHERING_TIME: Duration = Duration::from_millis(5);

/// The audit log: a file of JSON lines to which records are only appended.
///
/// One thread writes. It takes every record that waits, appends them in one write and synchronises once for all, so
/// the cost of durability is shared by the requests of one moment. A request that is alone waits for nobody.
#[derive(Debug)]
pub struct AuditLog {
    sender: mpsc::Sender<Entry>,
    expected: Arc<AtomicUsize>,
    health: Arc<WriterHealth>,
}

/// What the writing thread lets others know.
#[derive(Debug, Default)]
struct WriterHealth {
    metrics: AuditMetrics,
    /// When the last write failed, unless one has succeeded since.
    failed_at: Mutex<Option<Instant>>,
}

/// How long a failed write speaks against the log. Afterwards a request may find out whether it is over: nobody else does.
const FAILURE_COUNTS_FOR: Duration = Duration::from_secs(30);

/// A request that will leave a record; see [`AuditLog::expect`].
#[derive(Debug)]
pub struct ExpectedRecord<'l> {
    log: &'l AuditLog,
}

#[derive(Debug)]
struct Entry {
    line: Vec<u8>,
    done: oneshot::Sender<Result<Recorded, AuditError>>,
}

/// Why a record is not durable. The answer that it belongs to must not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened.
    #[error("audit log {}: {problem}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// The record cannot be written or synchronised.
    #[error("the audit record cannot be written: {0}")]
    Write(String),
    /// The writing thread has ended.
    #[error("the audit log is closed")]
    Closed,
}

impl AuditLog {
    /// Opens or makes the log at `path`, mode 0640, and starts its writing thread.
    ///
    /// # Errors
    /// When the file or the thread cannot be had.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let open_error =
            |error: io::Error| AuditError::Open { path: path.to_owned(), problem: error.to_string() };
        let writer = Writer::open(path).map_err(open_error)?;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        let expected = Arc::new(AtomicUsize::new(0));
        let expected_by_writer = Arc::clone(&expected);
        let health = Arc::new(WriterHealth::default());
        let health_of_writer = Arc::clone(&health);
        thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || write_batches(writer, receiver, &expected_by_writer, &health_of_writer))
            .map_err(open_error)?;
        Ok(Self { sender, expected, health })
    }

    /// What is counted of its writing.
    pub fn metrics(&self) -> &AuditMetrics {
        &self.health.metrics
    }

    /// Whether it takes records, as far as the last one tells. Half a minute after a failure it is worth another try.
    ///
    /// # Errors
    /// When the last write failed, or the writing thread has ended.
    pub fn check(&self) -> Result<(), AuditError> {
        if self.sender.is_closed() {
            return Err(AuditError::Closed);
        }
        match self.health.failed_since() {
            Some(since) if since < FAILURE_COUNTS_FOR => {
                Err(AuditError::Write(format!("the last write failed {} s ago", since.as_secs())))
            }
            _ => Ok(()),
        }
    }

    /// Announces a record at the start of its request, so that records of the same moment wait for one another.
    pub fn expect(&self) -> ExpectedRecord<'_> {
        self.expected.fetch_add(1, Ordering::Relaxed);
        ExpectedRecord { log: self }
    }

    /// Appends one line, with its line end, and returns when it is on disk.
    ///
    /// # Errors
    /// When it is not.
    pub async fn record(&self, line: Vec<u8>) -> Result<Recorded, AuditError> {
        self.expect().record(line).await
    }
}

impl ExpectedRecord<'_> {
    /// Appends one line, with its line end, and returns when it is on disk.
    ///
    /// # Errors
    /// When it is not.
    pub async fn record(self, line: Vec<u8>) -> Result<Recorded, AuditError> {
        let (done, durable) = oneshot::channel();
        let place = self.log.sender.reserve().await.map_err(|_| AuditError::Closed)?;
        self.log.metrics().queued();
        place.send(Entry { line, done });
        durable.await.map_err(|_| AuditError::Closed)?
    }
}

impl Drop for ExpectedRecord<'_> {
    fn drop(&mut self) {
        self.log.expected.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WriterHealth {
    fn written(&self, records: usize, after: Duration, succeeded: bool) {
        self.metrics.written(records, after, succeeded);
        *self.lock() = if succeeded { None } else { Some(Instant::now()) };
    }

    fn failed_since(&self) -> Option<Duration> {
        self.lock().map(|at| at.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_batches(
    mut writer: Writer,
    mut receiver: mpsc::Receiver<Entry>,
    expected: &AtomicUsize,
    health: &WriterHealth,
) {
    let mut batch = Vec::new();
    let mut gathering_time = GATHERING_TIME_PER_RECORD;
    while receiver.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        if expected.load(Ordering::Relaxed) > batch.len() {
            thread::sleep(gathering_time);
            while batch.len() < MAX_BATCH
                && let Ok(entry) = receiver.try_recv()
            {
                batch.push(entry);
            }
        }
        let records = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        gathering_time = GATHERING_TIME_PER_RECORD.saturating_mul(records).min(MAX_GATHERING_TIME);
        let begun = Instant::now();
        let written = writer.append(batch.iter().map(|entry| entry.line.as_slice()));
        health.written(batch.len(), begun.elapsed(), written.is_ok());
        for entry in batch.drain(..) {
            let answer = match &written {
                Ok(()) => Ok(Recorded(())),
                Err(error) => Err(AuditError::Write(error.to_string())),
            };
            // Whoever asked may have gone; the record stands all the same.
            let _ = entry.done.send(answer);
        }
        if let Err(error) = written {
            tracing::error!(%error, "audit records could not be written; their requests were refused");
        }
    }
}

struct Writer {
    file: File,
    /// A write failed and could not be taken back, so the file may end within a line.
    may_be_torn: bool,
}

impl Writer {
    fn open(path: &Path) -> io::Result<Self> {
        let existed = path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        if !existed {
            let parent =
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()?;
        }
        // A second writer would cut this one's records off when it takes back a failed write.
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another broker writes to it"),
            TryLockError::Error(error) => error,
        })?;
        // A line torn by a crash stays as it is, on a line of its own; its request got no answer.
        let may_be_torn = file.metadata()?.len() > 0;
        Ok(Self { file, may_be_torn })
    }

    fn append<'l>(&mut self, lines: impl Iterator<Item = &'l [u8]>) -> io::Result<()> {
        let is_torn = self.may_be_torn && !ends_with_newline(&mut self.file).unwrap_or(false);
        let separator: &[u8] = if is_torn { b"\n" } else { b"" };
        let lines = [separator].into_iter().chain(lines).collect::<Vec<_>>().concat();
        let durable_len = self.file.metadata()?.len();
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        // The requests of a batch that fails are refused, so what was written of their records must not stay.
        let is_whole = written.is_ok() || self.file.set_len(durable_len).is_ok();
        self.may_be_torn = !is_whole;
        written
    }
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn records_are_on_disk_when_the_call_returns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::open(&path).unwrap();
        for number in 0..3 {
            log.record(format!("{{\"n\":{number}}}\n").into_bytes()).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), number + 1);
        }
    }

    #[tokio::test]
    async fn a_torn_line_is_set_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        std::fs::write(&path, "{\"whole\":1}\n{\"torn\":").unwrap();
        AuditLog::open(&path).unwrap().record(b"{\"new\":1}\n".to_vec()).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"whole\":1}\n{\"torn\":\n{\"new\":1}\n");
    }

    #[test]
    fn a_log_has_one_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let first = AuditLog::open(&path).unwrap();
        let error = AuditLog::open(&path).unwrap_err().to_string();
        assert!(error.contains("another broker writes to it"), "{error}");
        drop(first);
    }

    /// A pipe takes the bytes, and then neither synchronises nor gives them back, like a file that may only grow.
    #[test]
    fn what_cannot_be_taken_back_is_set_apart() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let mut writer = Writer { file: File::from(std::os::fd::OwnedFd::from(pipe)), may_be_torn: false };
        let line = |text: &'static str| [text.as_bytes()].into_iter();
        assert!(writer.append(line("{\"n\":1}\n")).is_err());
        assert!(writer.append(line("{\"n\":2}\n")).is_err());
        drop(writer);
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        assert_eq!(written, "{\"n\":1}\n\n{\"n\":2}\n");
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_not_a_record() {
        let log = AuditLog::open(Path::new("/dev/full")).unwrap();
        let error = log.record(b"{}\n".to_vec()).await.unwrap_err();
        assert!(matches!(error, AuditError::Write(_)), "{error}");
        assert!(matches!(log.check(), Err(AuditError::Write(_))), "{:?}", log.check());
    }
}
