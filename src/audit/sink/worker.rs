use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use super::{AuditSink, ChainedRecord};
use crate::audit::chain::ChainHead;

/// Records that wait for a sink at most: at some 2 KiB each, 16 MiB.
const MAX_WAITING_RECORDS: usize = 8192;
/// A durable sink that failed is tried again after so long, and after twice as long each further time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A sink and the thread that writes to it.
pub(in crate::audit) struct Worker {
    name: String,
    is_durable: bool,
    sender: Sender<Delivery>,
    shared: Arc<Shared>,
}

/// What a sink is given at a time.
#[derive(Clone)]
pub(in crate::audit) struct Delivery {
    pub(in crate::audit) records: Arc<[ChainedRecord]>,
    pub(in crate::audit) head: Arc<ChainHead>,
    /// Is told when the sink has them.
    pub(in crate::audit) taken: Option<Sender<()>>,
}

/// How a sink fares, since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkCounts {
    /// Its name.
    pub name: String,
    /// Whether its records outlive a crash.
    pub is_durable: bool,
    /// Records that it took.
    pub taken: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Records that it was not given, or did not take and will not be given again.
    pub lost: u64,
    /// Records that wait for it.
    pub waiting: usize,
}

#[derive(Default)]
struct Shared {
    taken: AtomicU64,
    failures: AtomicU64,
    lost: AtomicU64,
    waiting: AtomicUsize,
    is_closing: AtomicBool,
}

impl Worker {
    pub(in crate::audit) fn start(sink: Box<dyn AuditSink>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let (name, is_durable) = (sink.name(), sink.is_durable());
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("audit-sink".to_owned())
            .spawn(move || run(sink, &receiver, &of_thread))?;
        Ok(Self { name, is_durable, sender, shared })
    }

    pub(in crate::audit) fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Queues records; false where too many wait already.
    pub(in crate::audit) fn deliver(&self, delivery: Delivery) -> bool {
        let count = delivery.records.len();
        let fits = self.shared.waiting.fetch_add(count, Ordering::SeqCst) + count <= MAX_WAITING_RECORDS;
        if fits && self.sender.send(delivery).is_ok() {
            return true;
        }
        self.shared.waiting.fetch_sub(count, Ordering::SeqCst);
        self.lose(count);
        false
    }

    pub(in crate::audit) fn counts(&self) -> SinkCounts {
        let Shared { taken, failures, lost, waiting, is_closing: _ } = &*self.shared;
        SinkCounts {
            name: self.name.clone(),
            is_durable: self.is_durable,
            taken: taken.load(Ordering::Relaxed),
            failures: failures.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            waiting: waiting.load(Ordering::Relaxed),
        }
    }

    /// Gives it `patience` to take what waits, and stops trying again.
    pub(in crate::audit) fn close(&self, patience: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        self.shared.is_closing.store(true, Ordering::SeqCst);
        let mut left = patience;
        while self.shared.waiting.load(Ordering::SeqCst) > 0 && !left.is_zero() {
            thread::sleep(STEP);
            left = left.saturating_sub(STEP);
        }
    }

    fn lose(&self, count: usize) {
        if self.shared.lost.fetch_add(count as u64, Ordering::Relaxed) == 0 {
            tracing::error!(sink = self.name, "the audit sink does not keep up: records pass it by");
        }
    }
}

fn run(mut sink: Box<dyn AuditSink>, receiver: &Receiver<Delivery>, shared: &Shared) {
    let mut was_well = true;
    while let Ok(Delivery { records, head, mut taken }) = receiver.recv() {
        let mut retry = FIRST_RETRY;
        loop {
            match sink.write(&records, &head) {
                Ok(()) => {
                    if !was_well {
                        tracing::info!(sink = sink.name(), "the audit sink takes records again");
                    }
                    was_well = true;
                    shared.taken.fetch_add(records.len() as u64, Ordering::Relaxed);
                    // Who waited may have given up.
                    if let Some(taken) = taken.take() {
                        let _ = taken.send(());
                    }
                    break;
                }
                Err(error) => {
                    shared.failures.fetch_add(1, Ordering::Relaxed);
                    if was_well {
                        tracing::error!(sink = sink.name(), %error, "the audit sink takes no records");
                    }
                    was_well = false;
                    if !sink.is_durable() || shared.is_closing.load(Ordering::SeqCst) {
                        shared.lost.fetch_add(records.len() as u64, Ordering::Relaxed);
                        break;
                    }
                }
            }
            thread::sleep(retry);
            retry = (retry * 2).min(LAST_RETRY);
        }
        shared.waiting.fetch_sub(records.len(), Ordering::SeqCst);
    }
}
