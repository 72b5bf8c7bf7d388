//! Sinks that fail, are slow, or come back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nitro_key_broker::audit::chain::{ChainHead, read_link};
use nitro_key_broker::audit::sink::{AuditSink, ChainedRecord, SinkError};
use nitro_key_broker::audit::{AuditError, AuditLog, AuditSettings};
use serde_json::json;

use crate::broker::enclave::Enclave;
use crate::broker::{NOW, Setup, TestBroker, open_policy};
use crate::small_disk::SmallDisk;
use crate::{head, write};

/// What a test sees and decides of its sink.
#[derive(Clone, Default)]
pub struct Handle {
    lines: Arc<Mutex<Vec<Vec<u8>>>>,
    fails: Arc<AtomicBool>,
    blocks: Arc<AtomicBool>,
}

impl Handle {
    fn sink(&self, is_durable: bool) -> Box<dyn AuditSink> {
        Box::new(TestSink { handle: self.clone(), is_durable, head: None })
    }

    fn failing() -> Self {
        let handle = Self::default();
        handle.fails.store(true, Ordering::SeqCst);
        handle
    }

    fn sequences(&self) -> Vec<u64> {
        self.lines.lock().unwrap().iter().map(|line| read_link(line).unwrap().sequence).collect()
    }
}

struct TestSink {
    handle: Handle,
    is_durable: bool,
    head: Option<ChainHead>,
}

impl AuditSink for TestSink {
    fn name(&self) -> String {
        "test".to_owned()
    }

    fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn write(&mut self, records: &[ChainedRecord], head: &ChainHead) -> Result<(), SinkError> {
        while self.handle.blocks.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.handle.fails.load(Ordering::SeqCst) {
            return Err(SinkError::new("it was told to fail"));
        }
        self.handle.lines.lock().unwrap().extend(records.iter().map(|record| record.line.clone()));
        self.head = Some(head.clone());
        Ok(())
    }
}

fn start(file: Option<PathBuf>, sink: Box<dyn AuditSink>) -> AuditLog {
    AuditLog::start(AuditSettings { file, sinks: vec![sink], ..AuditSettings::default() }).unwrap()
}

#[tokio::test]
async fn every_sink_has_the_lines_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let handle = Handle::default();
    let log = start(Some(path.clone()), handle.sink(false));
    write(&log, 0..20).await;
    log.finish().await;
    assert_eq!(handle.lines.lock().unwrap().concat(), std::fs::read(&path).unwrap());
    let counts = log.sink_counts().await;
    assert_eq!((counts[0].taken, counts[0].failures, counts[0].lost), (20, 0, 0));
}

#[tokio::test]
async fn a_sink_that_fails_or_blocks_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let (failing, blocking) = (Handle::failing(), Handle::default());
    blocking.blocks.store(true, Ordering::SeqCst);
    let settings = AuditSettings {
        file: Some(folder.path().join("audit.jsonl")),
        sinks: vec![failing.sink(false), failing.sink(true), blocking.sink(false)],
        ..AuditSettings::default()
    };
    let log = AuditLog::start(settings).unwrap();
    let begin = Instant::now();
    write(&log, 0..10).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // Those that come back take what comes then; a durable one takes what it has missed.
    failing.fails.store(false, Ordering::SeqCst);
    blocking.blocks.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    write(&log, 10..12).await;
    log.finish().await;
    let counts = log.sink_counts().await;
    assert!(counts[0].lost > 0 && counts[0].failures > 0, "{counts:?}");
    assert_eq!((counts[1].taken, counts[1].lost), (12, 0), "{counts:?}");
    assert_eq!(blocking.sequences(), (0..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_durable_sink_stands_in_for_a_full_disk() {
    let handle = Handle::default();
    let log = start(Some("/dev/full".into()), handle.sink(true));
    write(&log, 0..5).await;
    assert_eq!(handle.sequences(), [0, 1, 2, 3, 4]);
    // A sink that keeps nothing is no stand-in.
    let log = start(Some("/dev/full".into()), Handle::default().sink(false));
    assert!(matches!(log.record(b"{}\n".to_vec()).await, Err(AuditError::Write(_))));
}

#[tokio::test]
async fn a_durable_sink_alone_is_enough() {
    let handle = Handle::default();
    let log = start(None, handle.sink(true));
    write(&log, 0..5).await;
    assert_eq!(handle.sequences(), [0, 1, 2, 3, 4]);
}

/// What the file missed while another sink stood in, it gets once it can be written again.
#[tokio::test]
async fn a_file_that_comes_back_gets_what_it_has_missed() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("NOT TESTED: a disk that fills up, since this user may not mount one in memory");
        return;
    };
    let path = disk.path().join("audit.jsonl");
    let handle = Handle::default();
    let log = start(Some(path.clone()), handle.sink(true));
    let mut written = 0;
    while written < 3 || head(&path).next_sequence() + 3 > written {
        write(&log, written..written + 1).await;
        written += 1;
    }
    assert_eq!(handle.sequences(), (0..written).collect::<Vec<_>>(), "every record has a sink");
    disk.make_room();
    write(&log, written..written + 1).await;
    assert_eq!(head(&path).next_sequence(), written + 1);
    log.finish().await;
    assert_eq!(handle.lines.lock().unwrap().concat(), std::fs::read(&path).unwrap());
}

#[tokio::test]
async fn without_any_durable_sink_no_key_is_released() {
    for failing in [Handle::failing(), Handle::default()] {
        failing.blocks.store(!failing.fails.load(Ordering::SeqCst), Ordering::SeqCst);
        let setup = Setup {
            audit_path: Some("/dev/full".into()),
            audit_sinks: vec![failing.sink(true)],
            ..Setup::default()
        };
        let broker = TestBroker::start_with(setup).await;
        let (key, enclave) = (broker.create_key(&open_policy()).await, Enclave::new());
        let ask = json!({"KeyId": key.arn, "KeySpec": "AES_256", "Recipient": enclave.recipient(NOW)});
        let begin = Instant::now();
        let answer = broker.connect().await.call("GenerateDataKey", &ask).await;
        assert!(answer.refusal().starts_with("500 KMSInternalException"), "{}", answer.refusal());
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
        failing.fails.store(false, Ordering::SeqCst);
        failing.blocks.store(false, Ordering::SeqCst);
        broker.connect().await.call("GenerateDataKey", &ask).await.members();
    }
}
