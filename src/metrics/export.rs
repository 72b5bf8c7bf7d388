use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Register;

/// What goes to a collector of telemetry, and what does not get there.
#[derive(Clone, Debug, Default)]
pub struct ExportMetrics {
    exported: Family<SignalLabels, Counter>,
    dropped: Family<DropLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignalLabels {
    signal: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    signal: &'static str,
    reason: &'static str,
}

impl ExportMetrics {
    /// The collector took so many.
    pub fn exported(&self, signal: &'static str, items: usize) {
        let items = u64::try_from(items).unwrap_or(u64::MAX);
        self.exported.get_or_create(&SignalLabels { signal }).inc_by(items);
    }

    /// The queue was full, so one was let go.
    pub fn queue_was_full(&self, signal: &'static str) {
        self.drop(signal, "queue_full", 1);
    }

    /// The collector did not take so many.
    pub fn export_failed(&self, signal: &'static str, items: usize) {
        self.drop(signal, "export_failed", u64::try_from(items).unwrap_or(u64::MAX));
    }

    /// Shows the counters of a signal from the beginning.
    pub fn announce(&self, signal: &'static str) {
        self.exported(signal, 0);
        self.drop(signal, "queue_full", 0);
        self.drop(signal, "export_failed", 0);
    }

    fn drop(&self, signal: &'static str, reason: &'static str, items: u64) {
        self.dropped.get_or_create(&DropLabels { signal, reason }).inc_by(items);
    }
}

impl Register for ExportMetrics {
    fn register(&self, registry: &mut Registry) {
        let Self { exported, dropped } = self;
        registry.register(
            "otlp_items_exported",
            "Spans and audit records that the OpenTelemetry collector took",
            exported.clone(),
        );
        registry.register(
            "otlp_items_dropped",
            "Spans and audit records that did not get to the OpenTelemetry collector",
            dropped.clone(),
        );
    }
}
