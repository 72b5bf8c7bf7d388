use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Recorded;
use super::chain::MAX_LINK_BYTES;
use super::file::Rotation;
use super::record::MAX_LINE_BYTES;
use super::sink::{AuditSink, SinkCounts};
use super::verify::Finding;
use super::writer::Writer;
use crate::metrics::AuditMetrics;
use crate::signed_note::NoteSigner;

/// Records waiting to be written at most; more requests wait their turn.
const QUEUE_LEN: usize = 4096;
/// Records that one synchronisation makes durable at most.
const MAX_BATCH: usize = 1024;
/// While other requests are being carried out, a batch waits for their records: so long for each record of the batch
/// before it. The wait grows to its longest only where records come faster than this, so that a shared synchronisation
/// pays; others hardly wait.
const GATHERING_TIME_PER_RECORD: Duration = Duration::from_micros(500);
const MAX_GATHERING_TIME: Duration = Duration::from_millis(5);
/// A checkpoint is signed once so many records have come since the last, or so much time has passed since the first of
/// them was written.
const CHECKPOINT_RECORDS: u64 = 1000;
const CHECKPOINT_TIME: Duration = Duration::from_secs(10);
/// How long a failed write speaks against the log. Afterwards a request may find out whether it is over: nobody else does.
const FAILURE_COUNTS_FOR: Duration = Duration::from_secs(30);

/// The audit log: lines of JSON to which records are only appended, chained, in a file and in other sinks.
///
/// One thread writes. It takes every record that waits, appends them in one write and synchronises once for all, so
/// the cost of durability is shared by the requests of one moment. A request that is alone waits for nobody.
#[derive(Debug)]
pub struct AuditLog {
    sender: mpsc::Sender<Message>,
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

/// Where a log goes, and how.
#[derive(Default)]
pub struct AuditSettings {
    /// The file, which is durable; `None` where other sinks do.
    pub file: Option<PathBuf>,
    /// When the file is put aside.
    pub rotation: Rotation,
    /// Signs checkpoints, which are left beside the file. Its name is the log's.
    pub signer: Option<NoteSigner>,
    /// Sinks beside the file.
    pub sinks: Vec<Box<dyn AuditSink>>,
}

/// A request that will leave a record; see [`AuditLog::expect`].
#[derive(Debug)]
pub struct ExpectedRecord<'l> {
    log: &'l AuditLog,
}

#[derive(Debug)]
enum Message {
    Record(Entry),
    /// Sign and deliver what there is.
    Finish(oneshot::Sender<()>),
    Counts(oneshot::Sender<Vec<SinkCounts>>),
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
    /// The log that is there is not the one that was written.
    #[error(
        "audit log {}: record {}{} is bad: {}", .path.display(), .finding.sequence, .finding.place_text(), .finding.fault
    )]
    Tampered {
        /// The log.
        path: PathBuf,
        /// What is wrong.
        finding: Box<Finding>,
    },
    /// The log that is there is another one than the signing key is for.
    #[error("audit log {}: it is the log {actual}, and the key signs for {expected}", .path.display())]
    AnotherLog {
        /// The log.
        path: PathBuf,
        /// The key's name.
        expected: String,
        /// The log's name.
        actual: String,
    },
    /// No sink keeps records over a crash.
    #[error("no durable audit sink is configured, and without a durable record no answer may leave")]
    NothingDurable,
    /// A sink cannot be used.
    #[error("audit sink {name}: {problem}")]
    Sink {
        /// The sink.
        name: String,
        /// What it says.
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
    /// Opens or makes the log in the file at `path`, mode 0640, without checkpoints and other sinks.
    ///
    /// # Errors
    /// As [`AuditLog::start`].
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        Self::start(AuditSettings { file: Some(path.to_owned()), ..AuditSettings::default() })
    }

    /// Opens or makes the log and starts its writing thread, which goes on with the chain that is there.
    ///
    /// # Errors
    /// When a file, a sink or the thread cannot be had, nothing durable is among them, or what is there is not what the
    /// broker wrote.
    pub fn start(settings: AuditSettings) -> Result<Self, AuditError> {
        let no_thread = |error: std::io::Error| AuditError::Sink {
            name: "of all".to_owned(),
            problem: format!("no thread for it: {error}"),
        };
        // A sink may block, which a thread of a runtime must not.
        let writer = thread::scope(|scope| scope.spawn(|| Writer::open(settings)).join());
        let writer = writer.unwrap_or(Err(AuditError::Closed))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(no_thread)?;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        let expected = Arc::new(AtomicUsize::new(0));
        let expected_by_writer = Arc::clone(&expected);
        let health = Arc::new(WriterHealth::default());
        let health_of_writer = Arc::clone(&health);
        thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || write_batches(writer, &runtime, receiver, &expected_by_writer, &health_of_writer))
            .map_err(no_thread)?;
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

    /// Appends one line, with its line end, and returns when it is durable.
    ///
    /// # Errors
    /// When it is not.
    pub async fn record(&self, line: Vec<u8>) -> Result<Recorded, AuditError> {
        self.expect().record(line).await
    }

    /// Signs a last checkpoint and gives the sinks time to take what waits for them.
    pub async fn finish(&self) {
        let (done, finished) = oneshot::channel();
        if self.sender.send(Message::Finish(done)).await.is_ok() {
            // Nobody is left to tell when the thread has ended already.
            let _ = finished.await;
        }
    }

    /// How the sinks beside the file fare.
    pub async fn sink_counts(&self) -> Vec<SinkCounts> {
        let (done, counts) = oneshot::channel();
        if self.sender.send(Message::Counts(done)).await.is_err() {
            return Vec::new();
        }
        counts.await.unwrap_or_default()
    }
}

impl ExpectedRecord<'_> {
    /// Appends one line, with its line end, and returns when it is durable.
    ///
    /// # Errors
    /// When it is not.
    pub async fn record(self, line: Vec<u8>) -> Result<Recorded, AuditError> {
        if line.len() > MAX_LINE_BYTES - MAX_LINK_BYTES {
            return Err(AuditError::Write(format!("it has {} bytes, more than are read back", line.len())));
        }
        let (done, durable) = oneshot::channel();
        let place = self.log.sender.reserve().await.map_err(|_| AuditError::Closed)?;
        self.log.metrics().queued();
        place.send(Message::Record(Entry { line, done }));
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
    runtime: &tokio::runtime::Runtime,
    mut receiver: mpsc::Receiver<Message>,
    expected: &AtomicUsize,
    health: &WriterHealth,
) {
    let mut messages = Vec::new();
    let mut gathering_time = GATHERING_TIME_PER_RECORD;
    loop {
        let received = match writer.unsigned_since() {
            None => receiver.blocking_recv_many(&mut messages, MAX_BATCH),
            Some(since) => {
                let patience = CHECKPOINT_TIME.saturating_sub(since.elapsed());
                let receiving = receiver.recv_many(&mut messages, MAX_BATCH);
                match runtime.block_on(async { tokio::time::timeout(patience, receiving).await }) {
                    Ok(received) => received,
                    Err(_) => {
                        writer.sign();
                        continue;
                    }
                }
            }
        };
        if received == 0 {
            break;
        }
        if expected.load(Ordering::Relaxed) > messages.len() {
            thread::sleep(gathering_time);
            while messages.len() < MAX_BATCH
                && let Ok(message) = receiver.try_recv()
            {
                messages.push(message);
            }
        }
        let (mut batch, mut finishing) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Record(entry) => batch.push(entry),
                Message::Finish(done) => finishing.push(done),
                // Who asked may have gone.
                Message::Counts(done) => drop(done.send(writer.sink_counts())),
            }
        }
        let records = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        gathering_time = GATHERING_TIME_PER_RECORD.saturating_mul(records).min(MAX_GATHERING_TIME);
        write_batch(&mut writer, batch, health);
        if !finishing.is_empty() {
            writer.finish();
            for done in finishing {
                let _ = done.send(());
            }
        } else if writer.unsigned() >= CHECKPOINT_RECORDS {
            writer.sign();
        }
    }
    writer.finish();
}

fn write_batch(writer: &mut Writer, batch: Vec<Entry>, health: &WriterHealth) {
    if batch.is_empty() {
        return;
    }
    let begun = Instant::now();
    let written = writer.write(batch.iter().map(|entry| entry.line.as_slice()));
    health.written(batch.len(), begun.elapsed(), written.is_ok());
    for entry in batch {
        // Whoever asked may have gone; the record stands all the same.
        let _ = entry.done.send(written.clone().map(|()| Recorded(())));
    }
    if let Err(error) = written {
        tracing::error!(%error, "audit records could not be written; their requests were refused");
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::read_link;
    use super::super::verify::{Expectations, verify};
    use super::super::{chain::Begin, reader::Lines};
    use super::*;

    async fn record(log: &AuditLog, text: &str) {
        log.record(format!("{{\"text\":\"{text}\"}}\n").into_bytes()).await.unwrap();
    }

    fn records(path: &Path) -> u64 {
        let expectations = Expectations { checkpoints: Vec::new(), begin: Begin::AtRecord0 };
        let verified = verify(Lines::of_log(path).unwrap(), expectations, &mut |_| {}).unwrap();
        verified.unwrap().head.map_or(0, |head| head.next_sequence())
    }

    #[tokio::test]
    async fn records_are_on_disk_and_chained_when_the_call_returns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::open(&path).unwrap();
        for number in 0..3 {
            record(&log, "x").await;
            assert_eq!(records(&path), number + 1);
        }
        log.record(b"{}\n".to_vec()).await.unwrap();
        assert_eq!(records(&path), 4);
    }

    #[tokio::test]
    async fn the_chain_goes_on_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        for number in 0..4 {
            let log = AuditLog::open(&path).unwrap();
            record(&log, "x").await;
            drop(log);
            wait_for_the_end(&path);
            assert_eq!(records(&path), number + 1);
        }
    }

    #[tokio::test]
    async fn a_torn_line_is_set_apart_and_lines_from_before_the_chain_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        std::fs::write(&path, "{\"unchained\":1}\n{\"torn\":").unwrap();
        let log = AuditLog::open(&path).unwrap();
        record(&log, "new").await;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        assert_eq!(lines[..2], ["{\"unchained\":1}\n", "{\"torn\":\n"]);
        let apart = read_link(lines[2].as_bytes()).unwrap().set_apart.unwrap();
        assert_eq!(apart.bytes, (lines[0].len() + lines[1].len()) as u64);
        assert_eq!(records(&path), 1);
    }

    #[tokio::test]
    async fn a_whole_record_that_lacks_its_line_end_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::open(&path).unwrap();
        record(&log, "first").await;
        record(&log, "second").await;
        drop(log);
        wait_for_the_end(&path);
        let mut text = std::fs::read(&path).unwrap();
        text.pop();
        std::fs::write(&path, text).unwrap();
        record(&AuditLog::open(&path).unwrap(), "third").await;
        assert_eq!(records(&path), 3);
    }

    #[tokio::test]
    async fn a_changed_log_is_not_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::open(&path).unwrap();
        for text in ["first", "second", "third"] {
            record(&log, text).await;
        }
        drop(log);
        wait_for_the_end(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("second", "sec0nd")).unwrap();
        let error = AuditLog::open(&path).unwrap_err();
        let AuditError::Tampered { finding, .. } = &error else { panic!("{error}") };
        assert_eq!((finding.sequence, finding.place.as_ref().unwrap().line), (1, 2));
        assert!(error.to_string().contains("record 1 (line 2 of "), "{error}");
    }

    /// The writer lets go of the file once its thread has ended.
    fn wait_for_the_end(path: &Path) {
        let file = std::fs::File::open(path).unwrap();
        file.lock().unwrap();
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

    #[test]
    fn something_durable_is_needed() {
        assert_eq!(AuditLog::start(AuditSettings::default()).unwrap_err(), AuditError::NothingDurable);
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_not_a_record() {
        let log = AuditLog::open(Path::new("/dev/full")).unwrap();
        assert_eq!(log.check(), Ok(()));
        let error = log.record(b"{}\n".to_vec()).await.unwrap_err();
        assert!(matches!(error, AuditError::Write(_)), "{error}");
        assert!(matches!(log.check(), Err(AuditError::Write(_))));
    }

    #[tokio::test]
    async fn a_line_that_nobody_could_read_back_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let log = AuditLog::open(&directory.path().join("audit.jsonl")).unwrap();
        let error = log.record(vec![b' '; MAX_LINE_BYTES]).await.unwrap_err();
        assert!(matches!(error, AuditError::Write(_)), "{error}");
    }
}
