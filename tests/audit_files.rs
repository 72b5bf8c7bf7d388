//! The audit log's files: one chain over restarts, rotation and failed writes, and signed checkpoints beside them.

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

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_log::{SIGNER, record, signer};
use nitro_key_broker::audit::chain::Begin;
use nitro_key_broker::audit::reader::{Lines, NewestFirst, segments};
use nitro_key_broker::audit::verify::{Expectations, Fault, Finding, Verified, verify};
use nitro_key_broker::audit::{AuditError, AuditLog, AuditSettings, Rotation, read_checkpoint};
use nitro_key_broker::signed_note::{Checkpoint, NoteSigner};

/// These records are dated into the past, and none of these files is put aside for that.
const FOREVER: Rotation = Rotation { max_bytes: u64::MAX, max_age: Duration::MAX };

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("audit.jsonl")
    }

    fn settings(&self) -> AuditSettings {
        AuditSettings { file: Some(self.log()), signer: Some(signer()), ..AuditSettings::default() }
    }

    /// Opens the log, which the one before may have to let go of first.
    fn start(&self, rotation: Rotation) -> Result<AuditLog, AuditError> {
        for _ in 0..200 {
            match AuditLog::start(AuditSettings { rotation, ..self.settings() }) {
                Err(AuditError::Open { problem, .. }) if problem.contains("another broker") => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                result => return result,
            }
        }
        panic!("the log is not let go of");
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        let note = read_checkpoint(&self.log()).unwrap()?;
        Some(signer().verifier().open_checkpoint(&note).unwrap())
    }

    fn verify(&self, begin: Begin) -> Result<Verified, Finding> {
        let expectations = Expectations { checkpoints: self.checkpoint().into_iter().collect(), begin };
        verify(Lines::of_log(&self.log()).unwrap(), expectations, &mut |_| {}).unwrap()
    }

    fn records(&self) -> u64 {
        self.verify(Begin::AtRecord0).unwrap().head.map_or(0, |head| head.next_sequence())
    }
}

async fn write(log: &AuditLog, numbers: std::ops::Range<u64>) {
    for number in numbers {
        log.record(format!("{}\n", record(number)).into_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_long_file_is_put_aside_and_the_chain_goes_on() {
    let folder = Folder::new();
    let rotation = Rotation { max_bytes: 10_000, ..FOREVER };
    for restart in 0..4 {
        let log = folder.start(rotation).unwrap();
        write(&log, restart * 20..restart * 20 + 20).await;
        log.finish().await;
        assert_eq!(folder.records(), restart * 20 + 20);
    }
    let files = segments(&folder.log()).unwrap();
    assert!(files.len() > 8, "{files:?}");
    for file in &files[..files.len() - 1] {
        let len = file.path.metadata().unwrap().len();
        assert!((10_000..13_000).contains(&len), "{} has {len} bytes", file.path.display());
        let mut lines = Lines::of_segments(vec![file.clone()]).records();
        assert_eq!(lines.next().unwrap().unwrap().record.unwrap().sequence, file.first_sequence);
    }
    let order: Vec<Option<u64>> = NewestFirst::of_log(&folder.log())
        .unwrap()
        .records()
        .map(|entry| entry.unwrap().record.unwrap().sequence)
        .collect();
    assert_eq!(order, (0..80).rev().map(Some).collect::<Vec<_>>());
    // Each file says enough of those before it for the rest to be verified without them.
    for gone in &files[..3] {
        fs::remove_file(&gone.path).unwrap();
        let verified = folder.verify(Begin::AtAnyFile).unwrap();
        assert_eq!((verified.head.unwrap().next_sequence(), verified.checkpoints), (80, 1));
        let finding = folder.verify(Begin::AtRecord0).unwrap_err();
        assert_eq!(finding.fault.rule(), "sequence");
    }
}

#[tokio::test]
async fn an_old_file_is_put_aside() {
    let folder = Folder::new();
    let old = Rotation { max_age: Duration::from_secs(3600), ..FOREVER };
    let log = folder.start(old).unwrap();
    write(&log, 0..3).await;
    drop(log);
    // The age is that of the first record, which these tests date into the past; it counts from the next start on.
    let log = folder.start(old).unwrap();
    write(&log, 3..5).await;
    let names: Vec<Option<u64>> =
        segments(&folder.log()).unwrap().iter().map(|file| file.first_sequence).collect();
    assert_eq!(names, [Some(0), None]);
    assert_eq!(folder.records(), 5);
}

#[tokio::test]
async fn a_crash_between_two_files_loses_nothing() {
    let folder = Folder::new();
    let log = folder.start(FOREVER).unwrap();
    write(&log, 0..3).await;
    drop(log);
    let log = folder.start(FOREVER).unwrap();
    drop(log);
    // The old file has its new name, and the new one is not there yet, or has no record.
    for with_empty_file in [false, true] {
        let before = folder.records();
        let first = if before == 3 { 0 } else { 3 };
        fs::rename(folder.log(), folder.0.path().join(format!("audit-{first:020}.jsonl"))).unwrap();
        if with_empty_file {
            fs::write(folder.log(), "").unwrap();
        }
        let log = folder.start(FOREVER).unwrap();
        write(&log, before..before + 1).await;
        assert_eq!(folder.records(), before + 1);
        drop(log);
        folder.start(FOREVER).unwrap();
    }
}

#[tokio::test]
async fn checkpoints_are_signed_every_thousand_records_and_at_the_end() {
    let folder = Folder::new();
    let log = folder.start(FOREVER).unwrap();
    write(&log, 0..3).await;
    assert_eq!(folder.checkpoint(), None);
    write(&log, 3..1000).await;
    // Signed once the last record is answered, so maybe a moment later.
    for _ in 0..200 {
        if folder.checkpoint().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(folder.checkpoint().unwrap().size, 1000);
    write(&log, 1000..1007).await;
    log.finish().await;
    assert_eq!(folder.checkpoint().unwrap().size, 1007);
    assert_eq!(folder.verify(Begin::AtRecord0).unwrap().checkpoints, 1);
}

#[tokio::test]
async fn a_checkpoint_follows_a_lone_record_within_seconds() {
    let folder = Folder::new();
    let log = folder.start(FOREVER).unwrap();
    write(&log, 0..1).await;
    for _ in 0..150 {
        if folder.checkpoint().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(folder.checkpoint().unwrap().size, 1);
    write(&log, 1..2).await;
}

#[tokio::test]
async fn a_log_that_was_cut_or_exchanged_is_not_gone_on_with() {
    let folder = Folder::new();
    let log = folder.start(FOREVER).unwrap();
    write(&log, 0..5).await;
    log.finish().await;
    drop(log);
    drop(folder.start(FOREVER).unwrap());
    let whole = fs::read_to_string(folder.log()).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for (content, what) in [
        (lines[..4].concat(), "cut after a record"),
        (whole[..whole.len() - 10].to_owned(), "cut within a record"),
        (String::new(), "emptied"),
        (whole.replace("request-4", "request-5"), "its last record changed"),
        (whole.replace("\"chain\"", "\"chains\""), "its chain taken away"),
    ] {
        fs::write(folder.log(), content).unwrap();
        let error = folder.start(FOREVER).unwrap_err();
        assert!(matches!(error, AuditError::Tampered { .. }), "{what}: {error}");
    }
    fs::write(folder.log(), &whole).unwrap();
    drop(folder.start(FOREVER).unwrap());
    // Another key is another log.
    let (other, _) = NoteSigner::generate("other").unwrap();
    fs::remove_file(folder.0.path().join("audit.checkpoint")).unwrap();
    let settings = AuditSettings { signer: Some(other), ..folder.settings() };
    let error = retry(settings).unwrap_err();
    assert_eq!(
        error,
        AuditError::AnotherLog {
            path: folder.log(),
            expected: "other".to_owned(),
            actual: audit_log::LOG.to_owned()
        }
    );
}

fn retry(settings: AuditSettings) -> Result<AuditLog, AuditError> {
    std::thread::sleep(Duration::from_millis(200));
    AuditLog::start(settings)
}

#[tokio::test]
async fn a_checkpoint_that_is_not_ours_keeps_the_log_from_being_gone_on_with() {
    let folder = Folder::new();
    let log = folder.start(FOREVER).unwrap();
    write(&log, 0..2).await;
    log.finish().await;
    drop(log);
    let path = folder.0.path().join("audit.checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    fs::write(&path, note.replacen("\n2\n", "\n1\n", 1)).unwrap();
    let error = folder.start(FOREVER).unwrap_err();
    assert!(error.to_string().contains("does not verify"), "{error}");
}

/// A log from before there was a chain goes on with one, and what it held before is bound by the first chained record.
#[tokio::test]
async fn an_older_log_is_chained_from_here_on() {
    let folder = Folder::new();
    let old: String = (0..7).map(|number| format!("{}\n", record(number))).collect();
    fs::write(folder.log(), &old).unwrap();
    let log = folder.start(FOREVER).unwrap();
    write(&log, 7..9).await;
    let verified = folder.verify(Begin::AtRecord0).unwrap();
    assert_eq!(verified.head.unwrap().next_sequence(), 2);
    assert_eq!(
        verified.set_apart.iter().map(|(_, apart)| apart.bytes).collect::<Vec<_>>(),
        [old.len() as u64]
    );
    let all = Lines::of_log(&folder.log()).unwrap().records();
    assert!(all.map(|entry| entry.unwrap().record).all(|record| record.is_ok()), "and reads as one log");
    let text = fs::read_to_string(folder.log()).unwrap();
    fs::write(folder.log(), text.replace("request-3", "request-9")).unwrap();
    let Fault::Chain(fault) = folder.verify(Begin::AtRecord0).unwrap_err().fault else {
        panic!("no chain fault")
    };
    assert!(fault.to_string().contains("7"), "{fault}");
}

#[test]
fn the_signing_key_is_not_shown() {
    let folder = Folder::new();
    let settings = folder.settings();
    let secret = SIGNER.rsplit_once('+').unwrap().1;
    assert!(!format!("{:?}", settings.signer).contains(secret));
    let log: &Path = &folder.log();
    assert!(!log.exists());
}
