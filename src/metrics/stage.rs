use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Register, stage_histogram};

/// A part of a request's way, the same in metrics and traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Who asks: the signature, if there is one.
    Authenticate,
    /// The whole of an operation, from its members to its answer; the stages down to [`Stage::Envelope`] are within.
    Operation,
    /// The key that a request names.
    FindKey,
    /// The attestation document.
    VerifyDocument,
    /// What policies and grants say.
    Decide,
    /// The key's material out of its wrapping.
    UnwrapKey,
    /// What the key does: sealing, opening, signing and so on.
    UseKey,
    /// The encryption of an answer to an enclave.
    Envelope,
    /// The wait for the audit record to be durable.
    Record,
}

impl Stage {
    /// All of them, in the order of a request.
    pub const ALL: [Self; 9] = [
        Self::Authenticate,
        Self::Operation,
        Self::FindKey,
        Self::VerifyDocument,
        Self::Decide,
        Self::UnwrapKey,
        Self::UseKey,
        Self::Envelope,
        Self::Record,
    ];

    /// The value of the label `stage` and the name of the span.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Operation => "operation",
            Self::FindKey => "find_key",
            Self::VerifyDocument => "verify_document",
            Self::Decide => "decide",
            Self::UnwrapKey => "unwrap_key",
            Self::UseKey => "use_key",
            Self::Envelope => "envelope",
            Self::Record => "record",
        }
    }
}

/// How long the stages of requests take.
#[derive(Clone, Debug)]
pub struct StageMetrics {
    durations: Family<StageLabels, Histogram, fn() -> Histogram>,
    /// The same, found without a search, in the order of [`Stage::ALL`].
    of_stages: [Histogram; Stage::ALL.len()],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

impl StageMetrics {
    /// A stage came to its end, whatever that was.
    pub fn ended(&self, stage: Stage, after: Duration) {
        if let Some(histogram) = self.of_stages.get(stage as usize) {
            histogram.observe(after.as_secs_f64());
        }
    }
}

impl Default for StageMetrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor(stage_histogram as fn() -> Histogram);
        let of_stages =
            Stage::ALL.map(|stage| durations.get_or_create(&StageLabels { stage: stage.name() }).clone());
        Self { durations, of_stages }
    }
}

impl Register for StageMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "stage_duration",
            "Time that a stage of a request took",
            Unit::Seconds,
            self.durations.clone(),
        );
    }
}
