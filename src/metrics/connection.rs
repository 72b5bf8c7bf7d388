use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Register;

/// The connections of a server.
#[derive(Clone, Debug)]
pub struct ConnectionMetrics {
    accepted: Family<TransportLabels, Counter>,
    active: Gauge,
    held_back: Counter,
    handshakes_failed: Family<HandshakeLabels, Counter>,
    limit: Gauge,
}

/// Why a TLS handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client speaks no TLS that this server speaks, or does not trust its certificate.
    Error,
    /// It was not done in time.
    Timeout,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabels {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    reason: &'static str,
}

impl HandshakeFailure {
    const fn reason(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

impl ConnectionMetrics {
    /// A connection came over `transport` and is counted as active as long as what this yields is held.
    pub fn accepted(&self, transport: &'static str) -> ActiveConnection {
        self.accepted.get_or_create(&TransportLabels { transport }).inc();
        self.active.inc();
        ActiveConnection(self.active.clone())
    }

    /// A connection has to wait, since every place is taken.
    pub fn held_back(&self) {
        self.held_back.inc();
    }

    /// A TLS handshake failed.
    pub fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshakes_failed.get_or_create(&HandshakeLabels { reason: failure.reason() }).inc();
    }

    /// How many connections there may be at a time.
    pub fn set_limit(&self, limit: u32) {
        self.limit.set(limit.into());
    }
}

impl Default for ConnectionMetrics {
    fn default() -> Self {
        let metrics = Self {
            accepted: Family::default(),
            active: Gauge::default(),
            held_back: Counter::default(),
            handshakes_failed: Family::default(),
            limit: Gauge::default(),
        };
        for failure in [HandshakeFailure::Error, HandshakeFailure::Timeout] {
            let labels = HandshakeLabels { reason: failure.reason() };
            drop(metrics.handshakes_failed.get_or_create(&labels));
        }
        metrics
    }
}

impl Register for ConnectionMetrics {
    fn register(&self, registry: &mut Registry) {
        let Self { accepted, active, held_back, handshakes_failed, limit } = self;
        registry.register("connections_accepted", "Connections that were accepted", accepted.clone());
        registry.register("connections_active", "Connections that are open", active.clone());
        registry.register("connections_limit", "Connections at a time at most", limit.clone());
        registry.register(
            "connections_held_back",
            "Connections that had to wait because every place was taken",
            held_back.clone(),
        );
        registry.register(
            "tls_handshakes_failed",
            "TLS handshakes that came to nothing",
            handshakes_failed.clone(),
        );
    }
}

/// Counts a connection as active until it is dropped.
#[derive(Debug)]
pub struct ActiveConnection(Gauge);

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
