//! From lines to chained records in every sink.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::chain::{ChainHead, LinkTerms};
use super::checkpoint::{Notary, new_log_name, read_checkpoint};
use super::file::{LogFile, OpenError};
use super::log::{AuditError, AuditSettings};
use super::reader::Lines;
use super::sink::{AuditSink, ChainedRecord, Delivery, SinkCounts, Worker};
use super::verify::{Fault, Finding};
use crate::signed_note::{Checkpoint, NoteSigner};
use crate::time::UnixTime;

/// How long a request waits for another durable sink when the file takes no records.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records that a sink is given at a time of what it has missed.
const CATCH_UP_RECORDS: usize = 512;

pub(super) struct Writer {
    head: ChainHead,
    file: Option<LogFile>,
    workers: Vec<Worker>,
    notary: Option<Notary>,
    unsigned_since: Option<Instant>,
}

impl Writer {
    pub(super) fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let AuditSettings { file: path, rotation, signer, mut sinks } = settings;
        if path.is_none() && !sinks.iter().any(|sink| sink.is_durable()) {
            return Err(AuditError::NothingDurable);
        }
        let checkpoint = match (&path, &signer) {
            (Some(path), Some(signer)) => signed_checkpoint(path, signer)?,
            _ => None,
        };
        let signed_size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        let mut file = match &path {
            None => None,
            Some(path) => {
                Some(LogFile::open(path, rotation, checkpoint).map_err(|error| open_error(path, error))?)
            }
        };
        let mut head = file.as_ref().and_then(LogFile::head).cloned();
        for sink in &mut sinks {
            let caught_up = catch_up(sink.as_mut(), path.as_deref(), head.as_ref());
            let stored = match caught_up {
                Ok(stored) => stored,
                Err(error) if path.is_none() && sink.is_durable() => {
                    return Err(sink_error(sink.as_ref(), &error));
                }
                Err(error) => {
                    tracing::error!(sink = sink.name(), %error, "the audit sink takes no records");
                    None
                }
            };
            head = further(head, stored);
        }
        let name = signer.as_ref().map(|signer| signer.verifier().name().to_owned());
        let head = head.unwrap_or_else(|| ChainHead::of_new_log(&name.clone().unwrap_or_else(new_log_name)));
        if let Some(expected) = name.filter(|name| *name != head.log) {
            return Err(AuditError::AnotherLog {
                path: path.unwrap_or_default(),
                expected,
                actual: head.log,
            });
        }
        file.iter_mut().for_each(|file| file.skip_to(&head));
        let workers = sinks
            .into_iter()
            .map(|sink| {
                let name = sink.name();
                Worker::start(sink).map_err(|error| AuditError::Sink { name, problem: error.to_string() })
            })
            .collect::<Result<_, _>>()?;
        let notary = match (signer, &path) {
            (Some(signer), Some(path)) if path_is_regular(path) => {
                Some(Notary::new(signer, path, signed_size))
            }
            _ => None,
        };
        Ok(Self { head, file, workers, notary, unsigned_since: None })
    }

    /// Chains lines and makes them durable in one sink at least; the others follow.
    pub(super) fn write<'l>(&mut self, lines: impl Iterator<Item = &'l [u8]>) -> Result<(), AuditError> {
        let now = UnixTime::now();
        let prepared = self.file.as_mut().map(|file| file.prepare(now));
        let (starts_file, set_apart) = match &prepared {
            Some(Ok(terms)) => *terms,
            None | Some(Err(_)) => (false, None),
        };
        let (records, head) = self.link(lines, LinkTerms { starts_file, set_apart })?;
        let in_file = match (&mut self.file, prepared) {
            (None, _) => Err("no file is configured".to_owned()),
            (Some(_), Some(Err(error))) => Err(error.to_string()),
            (Some(file), _) => file.append(&records, &head, now).map_err(|error| error.to_string()),
        };
        let delivered = match in_file {
            Ok(()) => {
                self.deliver(&records, &head);
                Ok(())
            }
            Err(problem) => self.write_elsewhere(&records, &head, problem),
        };
        if delivered.is_ok() {
            self.unsigned_since.get_or_insert_with(Instant::now);
        }
        delivered
    }

    /// Since when there are records without a checkpoint; `None` where there are none, or nobody signs.
    pub(super) fn unsigned_since(&self) -> Option<Instant> {
        self.unsigned_since.filter(|_| self.notary.is_some())
    }

    /// Records without a checkpoint.
    pub(super) fn unsigned(&self) -> u64 {
        self.notary.as_ref().map_or(0, |notary| notary.unsigned(&self.head))
    }

    pub(super) fn sign(&mut self) {
        self.unsigned_since = None;
        if self.unsigned() == 0 {
            return;
        }
        if let Some(Err(error)) = self.notary.as_mut().map(|notary| notary.sign(&self.head)) {
            tracing::error!(%error, "no checkpoint of the audit log could be written");
        }
    }

    pub(super) fn finish(&mut self) {
        self.sign();
        self.workers.iter().for_each(|worker| worker.close(PATIENCE));
    }

    pub(super) fn sink_counts(&self) -> Vec<SinkCounts> {
        self.workers.iter().map(Worker::counts).collect()
    }

    fn link<'l>(
        &self,
        lines: impl Iterator<Item = &'l [u8]>,
        first_terms: LinkTerms,
    ) -> Result<(Arc<[ChainedRecord]>, ChainHead), AuditError> {
        let (mut head, mut terms) = (self.head.clone(), first_terms);
        let records = lines
            .map(|line| {
                let sequence = head.next_sequence();
                let line = head.link(line, std::mem::take(&mut terms));
                let line = line.map_err(|error| AuditError::Write(error.to_string()))?;
                Ok(ChainedRecord { sequence, line })
            })
            .collect::<Result<Vec<_>, AuditError>>()?;
        Ok((records.into(), head))
    }

    /// The file did not take them: another durable sink must.
    fn write_elsewhere(
        &mut self,
        records: &Arc<[ChainedRecord]>,
        head: &ChainHead,
        problem: String,
    ) -> Result<(), AuditError> {
        let (taken, durable) = mpsc::channel();
        let delivery =
            Delivery { records: Arc::clone(records), head: Arc::new(head.clone()), taken: Some(taken) };
        let durable_workers = self.workers.iter().filter(|worker| worker.is_durable());
        let asked = durable_workers.filter(|worker| worker.deliver(delivery.clone())).count();
        drop(delivery);
        if asked == 0 {
            return Err(AuditError::Write(problem));
        }
        // From here on the records are on their way, and the next ones follow them.
        self.head = head.clone();
        if let Some(file) = &mut self.file {
            tracing::error!(problem, "the audit log's file takes no records; another durable sink is asked");
            file.put_off(records);
        }
        self.deliver_to(records, head, |worker| !worker.is_durable());
        durable.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                AuditError::Write(format!("no durable sink took it within {PATIENCE:?}"))
            }
            RecvTimeoutError::Disconnected => AuditError::Write("no durable sink took it".to_owned()),
        })
    }

    fn deliver(&mut self, records: &Arc<[ChainedRecord]>, head: &ChainHead) {
        self.head = head.clone();
        self.deliver_to(records, head, |_| true);
    }

    fn deliver_to(&self, records: &Arc<[ChainedRecord]>, head: &ChainHead, wanted: fn(&Worker) -> bool) {
        if self.workers.is_empty() {
            return;
        }
        let delivery = Delivery { records: Arc::clone(records), head: Arc::new(head.clone()), taken: None };
        self.workers.iter().filter(|worker| wanted(worker)).for_each(|worker| {
            // What passes a sink by is counted there.
            worker.deliver(delivery.clone());
        });
    }
}

/// The checkpoint beside the log, which this broker has signed.
fn signed_checkpoint(path: &Path, signer: &NoteSigner) -> Result<Option<Checkpoint>, AuditError> {
    let problem = |problem: String| AuditError::Open { path: super::checkpoint_path(path), problem };
    let note = read_checkpoint(path).map_err(|error| problem(error.to_string()))?;
    note.map(|note| signer.verifier().open_checkpoint(&note).map_err(|error| problem(error.to_string())))
        .transpose()
}

/// Gives a sink what the file has and it has not; yields where the chain ends in it.
fn catch_up(
    sink: &mut dyn AuditSink,
    path: Option<&Path>,
    head: Option<&ChainHead>,
) -> Result<Option<ChainHead>, super::sink::SinkError> {
    let stored = sink.stored_head()?;
    let (Some(path), Some(head)) = (path, head) else { return Ok(stored) };
    let Some(known) = stored.clone().filter(|known| known.log == head.log) else { return Ok(stored) };
    if known.next_sequence() >= head.next_sequence() {
        return Ok(stored);
    }
    let mut behind = known;
    let mut missed = Vec::new();
    for line in Lines::of_log(path).map_err(super::sink::SinkError::new)? {
        let line = line.map_err(super::sink::SinkError::new)?.bytes;
        let Ok(link) = super::chain::read_link(&line) else { continue };
        if link.sequence != behind.next_sequence() {
            continue;
        }
        behind.advance(&line);
        missed.push(ChainedRecord { sequence: link.sequence, line });
        if missed.len() == CATCH_UP_RECORDS {
            sink.write(&missed, &behind)?;
            missed.clear();
        }
    }
    if !missed.is_empty() {
        sink.write(&missed, &behind)?;
    }
    Ok(Some(behind))
}

fn further(one: Option<ChainHead>, other: Option<ChainHead>) -> Option<ChainHead> {
    match (one, other) {
        (Some(one), Some(other)) if one.log == other.log && other.next_sequence() > one.next_sequence() => {
            Some(other)
        }
        (None, other) => other,
        (one, _) => one,
    }
}

fn open_error(path: &Path, error: OpenError) -> AuditError {
    let path = path.to_owned();
    match error {
        OpenError::Io(error) => AuditError::Open { path, problem: error.to_string() },
        OpenError::Finding(finding) => match *finding {
            Finding { fault: Fault::AnotherLog { signed, actual }, .. } => {
                AuditError::AnotherLog { path, expected: signed, actual }
            }
            finding => AuditError::Tampered { path, finding: Box::new(finding) },
        },
    }
}

fn sink_error(sink: &dyn AuditSink, error: &super::sink::SinkError) -> AuditError {
    AuditError::Sink { name: sink.name(), problem: error.to_string() }
}

fn path_is_regular(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
