//! The spans of a request and its stages.
//!
//! They have a target of their own, which the log leaves out: without an exporter nobody is interested in them, and a span
//! is then one look at a flag. Nothing that is in a request becomes an attribute but what is one of a list: no key bytes,
//! no documents, no encryption contexts, no principals.

use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::metrics::{Stage, StageMetrics};

/// The target of the spans here.
pub const TARGET: &str = "nitro_key_broker::stage";

/// An error that can say of which kind it is, for the attribute `error.type` (OpenTelemetry semantic conventions): one of a
/// list, with nothing of the request in it.
pub trait ErrorType {
    /// The kind.
    fn error_type(&self) -> &'static str;
}

/// Carries out a stage under its span, and notes how long it took.
pub fn in_stage<T, E: ErrorType>(
    metrics: &StageMetrics,
    stage: Stage,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let (begun, span) = (Instant::now(), span_of(stage));
    let result = span.in_scope(work);
    end(metrics, stage, begun, &span, &result);
    result
}

/// As [`in_stage`], of work that waits.
pub async fn in_async_stage<T, E: ErrorType>(
    metrics: &StageMetrics,
    stage: Stage,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let (begun, span) = (Instant::now(), span_of(stage));
    let result = work.instrument(span.clone()).await;
    end(metrics, stage, begun, &span, &result);
    result
}

/// Notes in a span that its work failed.
pub fn record_error(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

fn end<T, E: ErrorType>(
    metrics: &StageMetrics,
    stage: Stage,
    begun: Instant,
    span: &Span,
    result: &Result<T, E>,
) {
    if let Err(error) = result {
        record_error(span, error.error_type());
    }
    metrics.ended(stage, begun.elapsed());
}

/// A span's name is a constant of its callsite, hence one for each stage.
fn span_of(stage: Stage) -> Span {
    macro_rules! span {
        ($stage:ident) => {{
            const NAME: &str = Stage::$stage.name();
            tracing::info_span!(target: TARGET, NAME, error.type = Empty, otel.status_code = Empty)
        }};
    }
    match stage {
        Stage::Authenticate => span!(Authenticate),
        Stage::Operation => span!(Operation),
        Stage::FindKey => span!(FindKey),
        Stage::VerifyDocument => span!(VerifyDocument),
        Stage::Decide => span!(Decide),
        Stage::UnwrapKey => span!(UnwrapKey),
        Stage::UseKey => span!(UseKey),
        Stage::Envelope => span!(Envelope),
        Stage::Record => span!(Record),
    }
}
