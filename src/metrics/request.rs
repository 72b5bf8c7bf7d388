use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Register, StageMetrics, request_histogram};

/// What came of requests, and of the questions that they raise.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    /// How long their stages take.
    pub stages: StageMetrics,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    attestations: Family<AttestationLabels, Counter>,
    denials: Family<DenialLabels, Counter>,
}

/// How a request ended. Each value is one of a fixed list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// An operation of KMS, or `other`.
    pub operation: &'static str,
    /// As in the audit record.
    pub outcome: &'static str,
    /// The exception that the caller reads; empty where there is none.
    pub exception: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttestationLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DenialLabels {
    refusal: &'static str,
    side: &'static str,
}

/// The value of the label `result` of a document that verified.
const VERIFIED: &str = "verified";

impl RequestMetrics {
    /// Counters at zero; those of `attestation_steps` and `denials` are there from the beginning, so that an alert sees
    /// their first increase.
    pub fn new(
        attestation_steps: impl IntoIterator<Item = &'static str>,
        denials: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Self {
        let metrics = Self {
            stages: StageMetrics::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(request_histogram as fn() -> Histogram),
            in_flight: Gauge::default(),
            attestations: Family::default(),
            denials: Family::default(),
        };
        for result in attestation_steps.into_iter().chain([VERIFIED]) {
            drop(metrics.attestations.get_or_create(&AttestationLabels { result }));
        }
        for (refusal, side) in denials {
            drop(metrics.denials.get_or_create(&DenialLabels { refusal, side }));
        }
        metrics
    }

    /// A request is being answered as long as what this yields is held.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request came to its end.
    pub fn ended(&self, labels: &RequestLabels, after: Duration) {
        self.requests.get_or_create(labels).inc();
        let operation = OperationLabels { operation: labels.operation };
        self.durations.get_or_create(&operation).observe(after.as_secs_f64());
    }

    /// A document was judged: it verified, or failed the step of this name.
    pub fn attested(&self, judgement: Result<(), &'static str>) {
        let result = judgement.err().unwrap_or(VERIFIED);
        self.attestations.get_or_create(&AttestationLabels { result }).inc();
    }

    /// Policies and grants said no, one of the names of refusals and sides.
    pub fn denied(&self, refusal: &'static str, side: &'static str) {
        self.denials.get_or_create(&DenialLabels { refusal, side }).inc();
    }
}

impl Register for RequestMetrics {
    fn register(&self, registry: &mut Registry) {
        // Exhaustive, so that none is forgotten here.
        let Self { stages, requests, durations, in_flight, attestations, denials } = self;
        registry.register("requests", "Requests that were answered", requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from a whole request to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("requests_in_flight", "Requests being answered", in_flight.clone());
        stages.register(registry);
        registry.register(
            "attestations",
            "Attestation documents by the step of verification that they failed, or verified",
            attestations.clone(),
        );
        registry.register("denials", "Refusals by policies and grants", denials.clone());
    }
}

/// Counts a request as being answered until it is dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
