//! What a forwarder counts, and the text in which Prometheus reads it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::target::Target;
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

/// One counter for each of [`Failure::ALL`], in its order.
type ByReason = [AtomicU64; Failure::ALL.len()];

/// The counters of every route.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: Vec<Arc<RouteMetrics>>,
}

/// The counters of one route.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    /// `listen="…",target="…"`, escaped.
    labels: String,
    accepted: AtomicU64,
    refused: AtomicU64,
    completed: AtomicU64,
    failed: ByReason,
    rounds_failed: [AtomicU64; Failure::BEFORE_CONNECTED.len()],
    retries: AtomicU64,
    bytes_to_target: AtomicU64,
    bytes_to_enclave: AtomicU64,
}

impl Metrics {
    pub(super) fn add_route(&mut self, listen: &LocalAddress, target: &Target) -> Arc<RouteMetrics> {
        let labels =
            format!("listen=\"{}\",target=\"{}\"", escape(&listen.to_string()), escape(&target.to_string()));
        let route = Arc::new(RouteMetrics::new(labels));
        self.routes.push(Arc::clone(&route));
        route
    }
}

impl RouteMetrics {
    fn new(labels: String) -> Self {
        Self {
            labels,
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            completed: AtomicU64::default(),
            failed: Default::default(),
            rounds_failed: Default::default(),
            retries: AtomicU64::default(),
            bytes_to_target: AtomicU64::default(),
            bytes_to_enclave: AtomicU64::default(),
        }
    }

    pub(super) fn accepted(&self) {
        count(&self.accepted);
    }

    /// Closed at once, because every place was taken.
    pub(super) fn refused(&self) {
        count(&self.refused);
    }

    pub(super) fn ended(&self, how: Result<(), Failure>) {
        match how {
            Ok(()) => count(&self.completed),
            Err(failure) => count_reason(&Failure::ALL, &self.failed, failure),
        }
    }

    /// A round of connecting failed; there may be another.
    pub(super) fn round_failed(&self, failure: Failure) {
        count_reason(&Failure::BEFORE_CONNECTED, &self.rounds_failed, failure);
    }

    pub(super) fn retried(&self) {
        count(&self.retries);
    }

    pub(super) fn bytes_to_target(&self) -> &AtomicU64 {
        &self.bytes_to_target
    }

    pub(super) fn bytes_to_enclave(&self) -> &AtomicU64 {
        &self.bytes_to_enclave
    }

    /// Accepted and not ended, as far as two counters read one after the other can tell.
    fn active(&self) -> u64 {
        let ended: u64 = self.failed.iter().map(value).sum::<u64>() + value(&self.completed);
        value(&self.accepted).saturating_sub(ended)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn count_reason(reasons: &[Failure], counters: &[AtomicU64], failure: Failure) {
    for (_, counter) in reasons.iter().zip(counters).filter(|(reason, _)| **reason == failure) {
        count(counter);
    }
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The text format of Prometheus, version 0.0.4.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = || self.routes.iter().map(AsRef::as_ref);
        let mut page = Page { out: f, family: "" };
        page.family("connections_accepted_total", "counter", "Connections taken from enclaves.")?;
        routes().try_for_each(|route| page.sample(route, "", value(&route.accepted)))?;
        page.family("connections_active", "gauge", "Connections that are open or being connected.")?;
        routes().try_for_each(|route| page.sample(route, "", route.active()))?;
        page.family(
            "connections_refused_total",
            "counter",
            "Connections closed because too many were open.",
        )?;
        routes().try_for_each(|route| page.sample(route, "", value(&route.refused)))?;
        page.family("connections_completed_total", "counter", "Connections that both sides ended.")?;
        routes().try_for_each(|route| page.sample(route, "", value(&route.completed)))?;
        page.family("connections_failed_total", "counter", "Connections that came to no orderly end.")?;
        routes().try_for_each(|route| page.reasons(route, &Failure::ALL, &route.failed))?;
        page.family(
            "connect_rounds_failed_total",
            "counter",
            "Rounds of connecting to a target that failed.",
        )?;
        routes()
            .try_for_each(|route| page.reasons(route, &Failure::BEFORE_CONNECTED, &route.rounds_failed))?;
        page.family("connect_retries_total", "counter", "Further rounds for the same connection.")?;
        routes().try_for_each(|route| page.sample(route, "", value(&route.retries)))?;
        page.family("bytes_total", "counter", "Bytes carried.")?;
        routes().try_for_each(|route| {
            page.sample(route, ",direction=\"to_target\"", value(&route.bytes_to_target))?;
            page.sample(route, ",direction=\"to_enclave\"", value(&route.bytes_to_enclave))
        })
    }
}

/// What every name begins with.
const PREFIX: &str = "nitro_key_broker_forward_";

struct Page<'p, 'f> {
    out: &'p mut fmt::Formatter<'f>,
    family: &'static str,
}

impl Page<'_, '_> {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> fmt::Result {
        self.family = name;
        writeln!(self.out, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}")
    }

    fn sample(&mut self, route: &RouteMetrics, more_labels: &str, value: u64) -> fmt::Result {
        writeln!(self.out, "{PREFIX}{}{{{}{more_labels}}} {value}", self.family, route.labels)
    }

    fn reasons(&mut self, route: &RouteMetrics, failures: &[Failure], counters: &[AtomicU64]) -> fmt::Result {
        failures.iter().zip(counters).try_for_each(|(failure, counter)| {
            self.sample(route, &format!(",reason=\"{}\"", failure.reason()), value(counter))
        })
    }
}

/// A label's value between its quotes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
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
            let line = text.lines().find(|line| line.starts_with(&format!("{PREFIX}{name}")));
            line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).to_owned()
        };
        let labels = r#"listen="unix:/run/a\"b\\c",target="localhost:8443""#;
        assert_eq!(
            sample("connections_accepted_total"),
            format!("{PREFIX}connections_accepted_total{{{labels}}} 4")
        );
        assert!(sample("connections_active").ends_with("} 2"));
        assert!(sample("connections_refused_total").ends_with("} 1"));
        assert!(sample("connections_completed_total").ends_with("} 1"));
        assert!(text.contains(",reason=\"connect\"} 1\n"), "{text}");
        assert!(sample("connect_retries_total").ends_with("} 1"));
        assert!(sample("bytes_total").ends_with(",direction=\"to_target\"} 7"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.rsplit_once("} ").unwrap().1.parse::<u64>().is_ok(), "{line}");
        }
    }
}
