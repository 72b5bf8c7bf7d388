use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Register, stage_histogram};

/// Records in one batch.
const BATCH_BUCKETS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0];

/// The writing of the audit log.
#[derive(Clone, Debug)]
pub struct AuditMetrics {
    waiting: Gauge,
    records: Counter,
    records_failed: Counter,
    batches: Histogram,
    writes: Histogram,
    sink_records: Family<SinkRecordLabels, Counter>,
    sink_failures: Family<SinkLabels, Counter>,
    sink_waiting: Family<SinkLabels, Gauge>,
}

/// How a sink beside the file fares, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkProgress {
    /// Records that it took.
    pub taken: u64,
    /// Records that it will not get.
    pub lost: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Records that wait for it.
    pub waiting: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkRecordLabels {
    sink: String,
    result: &'static str,
}

impl AuditMetrics {
    /// A request has a record to be written.
    pub fn queued(&self) {
        self.waiting.inc();
    }

    /// So many records left the queue for one write, which took so long and succeeded or not.
    pub fn written(&self, records: usize, after: Duration, succeeded: bool) {
        let count = u64::try_from(records).unwrap_or(u64::MAX);
        self.waiting.dec_by(i64::try_from(records).unwrap_or(i64::MAX));
        self.batches.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
        self.writes.observe(after.as_secs_f64());
        if succeeded {
            self.records.inc_by(count)
        } else {
            self.records_failed.inc_by(count)
        };
    }

    /// The sink of this name, one of the configuration's, has come so far.
    pub fn set_sink(&self, sink: &str, progress: SinkProgress) {
        let SinkProgress { taken, lost, failures, waiting } = progress;
        for (result, records) in [("taken", taken), ("lost", lost)] {
            let labels = SinkRecordLabels { sink: sink.to_owned(), result };
            self.sink_records.get_or_create(&labels).inner().store(records, Ordering::Relaxed);
        }
        let labels = SinkLabels { sink: sink.to_owned() };
        self.sink_failures.get_or_create(&labels).inner().store(failures, Ordering::Relaxed);
        self.sink_waiting.get_or_create(&labels).set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

impl Default for AuditMetrics {
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            records: Counter::default(),
            records_failed: Counter::default(),
            batches: Histogram::new(BATCH_BUCKETS),
            writes: stage_histogram(),
            sink_records: Family::default(),
            sink_failures: Family::default(),
            sink_waiting: Family::default(),
        }
    }
}

impl Register for AuditMetrics {
    fn register(&self, registry: &mut Registry) {
        let Self {
            waiting,
            records,
            records_failed,
            batches,
            writes,
            sink_records,
            sink_failures,
            sink_waiting,
        } = self;
        registry.register("audit_queue_length", "Audit records that are not durable yet", waiting.clone());
        registry.register("audit_records", "Audit records that are durable", records.clone());
        registry.register(
            "audit_records_failed",
            "Audit records that could not be made durable, and whose requests were refused",
            records_failed.clone(),
        );
        registry.register(
            "audit_batch_records",
            "Audit records that one write made durable",
            batches.clone(),
        );
        registry.register_with_unit(
            "audit_write_duration",
            "Time of one write to the audit log with its synchronisation",
            Unit::Seconds,
            writes.clone(),
        );
        let help = "Audit records that a sink beside the file took, or will not get";
        registry.register("audit_sink_records", help, sink_records.clone());
        let help = "Attempts to write to a sink beside the file that failed";
        registry.register("audit_sink_failures", help, sink_failures.clone());
        let help = "Audit records that wait for a sink beside the file";
        registry.register("audit_sink_queue_length", help, sink_waiting.clone());
    }
}
