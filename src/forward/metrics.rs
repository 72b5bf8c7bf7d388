//! What a forwarder counts, and the text in which Prometheus reads it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::target::Target;
use crate::metrics::Register;
use crate::monitor::Page;
use crate::server::LocalAddress;

/// Why a connection came to no orderly end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The target's name led to no address.
    #[error("the target's name cannot be resolved")]
    Resolve,
    /// No address of the target took the connection.
    #[error("the target takes no connection")]
    Connect,
    /// No byte moved for the idle timeout.
    #[error("no byte moved for the idle timeout")]
    Idle,
    /// The enclave reset its connection or went away.
    #[error("the enclave broke the connection")]
    BrokenByEnclave,
    /// The target reset its connection or went away.
    #[error("the target broke the connection")]
    BrokenByTarget,
    /// It was still open when the drain's time was over.
    #[error("the forwarder ends")]
    Drained,
}

impl Failure {
    const ALL: [Self; 6] = [
        Self::Resolve,
        Self::Connect,
        Self::Idle,
        Self::BrokenByEnclave,
        Self::BrokenByTarget,
        Self::Drained,
    ];

    /// Those that there can be another round of connecting after.
    const BEFORE_CONNECTED: [Self; 2] = [Self::Resolve, Self::Connect];

    /// The value of the label `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::BrokenByEnclave => "broken_by_enclave",
            Self::BrokenByTarget => "broken_by_target",
            Self::Drained => "drained",
        }
    }
}

/// The counters of every route.
#[derive(Debug)]
pub struct Metrics {
    page: Page,
    families: Families,
}

/// Each counter of all routes.
#[derive(Clone, Debug, Default)]
struct Families {
    accepted: Family<RouteLabels, Counter>,
    active: Family<RouteLabels, Gauge>,
    refused: Family<RouteLabels, Counter>,
    completed: Family<RouteLabels, Counter>,
    failed: Family<ReasonLabels, Counter>,
    rounds_failed: Family<ReasonLabels, Counter>,
    retries: Family<RouteLabels, Counter>,
    bytes: Family<DirectionLabels, Counter>,
}

/// The counters of one route.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    accepted: Counter,
    active: Gauge,
    refused: Counter,
    completed: Counter,
    failed: ByReason,
    rounds_failed: ByReason,
    retries: Counter,
    bytes_to_target: Counter,
    bytes_to_enclave: Counter,
}

type ByReason = Vec<(Failure, Counter)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    listen: String,
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    #[prometheus(flatten)]
    route: RouteLabels,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabels {
    #[prometheus(flatten)]
    route: RouteLabels,
    direction: &'static str,
}

/// What every name begins with.
const PREFIX: &str = "nitro_key_broker_forward";

impl Default for Metrics {
    fn default() -> Self {
        let families = Families::default();
        let mut registry = Registry::with_prefix(PREFIX);
        families.register(&mut registry);
        Self { page: Page::new(registry), families }
    }
}

impl Metrics {
    pub(super) fn add_route(&mut self, listen: &LocalAddress, target: &Target) -> Arc<RouteMetrics> {
        let labels = RouteLabels { listen: listen.to_string(), target: target.to_string() };
        Arc::new(RouteMetrics::new(&self.families, &labels))
    }

    /// The counters over HTTP.
    pub(super) fn page(&self) -> &Page {
        &self.page
    }
}

impl Register for Families {
    fn register(&self, registry: &mut Registry) {
        let Self { accepted, active, refused, completed, failed, rounds_failed, retries, bytes } = self;
        registry.register("connections_accepted", "Connections taken from enclaves", accepted.clone());
        registry.register(
            "connections_active",
            "Connections that are open or being connected",
            active.clone(),
        );
        let help = "Connections closed because too many were open";
        registry.register("connections_refused", help, refused.clone());
        registry.register("connections_completed", "Connections that both sides ended", completed.clone());
        registry.register("connections_failed", "Connections that came to no orderly end", failed.clone());
        let help = "Rounds of connecting to a target that failed";
        registry.register("connect_rounds_failed", help, rounds_failed.clone());
        registry.register("connect_retries", "Further rounds for the same connection", retries.clone());
        registry.register("bytes", "Bytes carried", bytes.clone());
    }
}

impl RouteMetrics {
    fn new(families: &Families, route: &RouteLabels) -> Self {
        let by_reason = |family: &Family<ReasonLabels, Counter>, failures: &[Failure]| {
            let counter = |failure: &Failure| {
                let labels = ReasonLabels { route: route.clone(), reason: failure.reason() };
                (*failure, family.get_or_create_owned(&labels))
            };
            failures.iter().map(counter).collect()
        };
        let bytes = |direction| {
            families.bytes.get_or_create_owned(&DirectionLabels { route: route.clone(), direction })
        };
        Self {
            accepted: families.accepted.get_or_create_owned(route),
            active: families.active.get_or_create_owned(route),
            refused: families.refused.get_or_create_owned(route),
            completed: families.completed.get_or_create_owned(route),
            failed: by_reason(&families.failed, &Failure::ALL),
            rounds_failed: by_reason(&families.rounds_failed, &Failure::BEFORE_CONNECTED),
            retries: families.retries.get_or_create_owned(route),
            bytes_to_target: bytes("to_target"),
            bytes_to_enclave: bytes("to_enclave"),
        }
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
        self.active.inc();
    }

    /// Closed at once, because every place was taken.
    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    pub(super) fn ended(&self, how: Result<(), Failure>) {
        self.active.dec();
        match how {
            Ok(()) => drop(self.completed.inc()),
            Err(failure) => count(&self.failed, failure),
        }
    }

    /// A round of connecting failed; there may be another.
    pub(super) fn round_failed(&self, failure: Failure) {
        count(&self.rounds_failed, failure);
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    pub(super) fn bytes_to_target(&self) -> &AtomicU64 {
        self.bytes_to_target.inner()
    }

    pub(super) fn bytes_to_enclave(&self) -> &AtomicU64 {
        self.bytes_to_enclave.inner()
    }
}

fn count(counters: &ByReason, failure: Failure) {
    if let Some((_, counter)) = counters.iter().find(|(reason, _)| *reason == failure) {
        counter.inc();
    }
}

/// The text format of Prometheus, version 0.0.4.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.page.to_text()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn shows_every_counter_with_its_labels() {
        let mut metrics = Metrics::default();
        let listen = LocalAddress::Unix("/run/a\"b\\c".into());
        let route = metrics.add_route(&listen, &"localhost:8443".parse().unwrap());
        for _ in 0..4 {
            route.accepted();
        }
        route.refused();
        route.ended(Ok(()));
        route.ended(Err(Failure::Connect));
        route.round_failed(Failure::Connect);
        route.round_failed(Failure::Resolve);
        route.retried();
        route.bytes_to_target().fetch_add(7, Ordering::Relaxed);

        let text = metrics.to_string();
        let sample = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{PREFIX}_{name}")));
            line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).to_owned()
        };
        let labels = r#"listen="unix:/run/a\"b\\c",target="localhost:8443""#;
        assert_eq!(
            sample("connections_accepted_total"),
            format!("{PREFIX}_connections_accepted_total{{{labels}}} 4")
        );
        assert!(sample("connections_active").ends_with("} 2"));
        assert!(sample("connections_refused_total").ends_with("} 1"));
        assert!(sample("connections_completed_total").ends_with("} 1"));
        assert!(text.contains(",reason=\"connect\"} 1\n"), "{text}");
        assert!(sample("connect_retries_total").ends_with("} 1"));
        // The two directions are in no order.
        assert!(
            text.contains(&format!("{PREFIX}_bytes_total{{{labels},direction=\"to_target\"}} 7\n")),
            "{text}"
        );
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.rsplit_once("} ").unwrap().1.parse::<u64>().is_ok(), "{line}");
        }
    }
}
