//! What the broker counts of itself. Whoever counts owns the counters; whoever shows them [registers](Register) them.
//!
//! Every label has a bounded set of values that are chosen here or by the configuration: nothing that a caller sends
//! becomes one, so no caller makes the broker remember more.

mod audit;
mod cache;
mod certificate;
mod connection;
mod export;
mod housekeeping;
mod request;
mod stage;

pub use audit::{AuditMetrics, SinkProgress};
pub use cache::{CacheCounters, Caches};
pub use certificate::CertificateMetrics;
pub use connection::{ActiveConnection, ConnectionMetrics, HandshakeFailure};
pub use export::ExportMetrics;
pub use housekeeping::{HousekeepingAction, HousekeepingMetrics, KeyCounts};
pub use request::{InFlight, RequestLabels, RequestMetrics};
pub use stage::{Stage, StageMetrics};

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What every name of the broker begins with.
pub const PREFIX: &str = "nitro_key_broker";

/// Counters that can be shown.
pub trait Register {
    /// Adds them to `registry`, which puts [`PREFIX`] before their names and shows them as they are whenever it is asked.
    fn register(&self, registry: &mut Registry);
}

/// Seconds, from what policies take to what a client waits at most.
const STAGE_BUCKETS: [f64; 13] =
    [0.00001, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Seconds of a whole request, of which a synchronised write is always a part.
const REQUEST_BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

fn stage_histogram() -> Histogram {
    Histogram::new(STAGE_BUCKETS)
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_BUCKETS)
}
