use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
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
}

impl Default for AuditMetrics {
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            records: Counter::default(),
            records_failed: Counter::default(),
            batches: Histogram::new(BATCH_BUCKETS),
            writes: stage_histogram(),
        }
    }
}

impl Register for AuditMetrics {
    fn register(&self, registry: &mut Registry) {
        let Self { waiting, records, records_failed, batches, writes } = self;
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
    }
}
