//! The spans of a request and its stages.
//!
//! They have a target of their own, which the log leaves out: without an exporter nobody is interested in them, and a span
//! is then one look at a flag. Nothing that is in a request becomes an attribute but what is one of a list: no key bytes,
//! no documents, no encryption contexts, no principals.

use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::metrics::{Stage, StageMetrics};
use crate::traceparent::TraceParent;

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

/// What a caller's `traceparent` is to a request's span. Anybody can send one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallersTrace {
    /// Nothing.
    #[default]
    Ignore,
    /// Linked: the request has a trace of its own, which names the caller's.
    Link,
    /// Its parent: the request belongs to the caller's trace, and the caller says whether it is sampled.
    Parent,
}

/// Relates `span` to what the caller says is its trace.
#[cfg(feature = "otlp")]
pub fn relate(span: &Span, traceparent: TraceParent, callers_trace: CallersTrace) {
    use opentelemetry::Context;
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let TraceParent { trace_id, parent_id, is_sampled } = traceparent;
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace_id, parent_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(parent_id));
    let caller = SpanContext::new(trace_id, parent_id, flags, true, TraceState::default());
    match callers_trace {
        CallersTrace::Ignore => {}
        CallersTrace::Link => span.add_link(caller),
        // It fails only of a span that nobody takes, or that has begun.
        CallersTrace::Parent => drop(span.set_parent(Context::new().with_remote_span_context(caller))),
    }
}

/// Without an exporter there is no trace to belong to.
#[cfg(not(feature = "otlp"))]
pub fn relate(_: &Span, _: TraceParent, _: CallersTrace) {}

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
