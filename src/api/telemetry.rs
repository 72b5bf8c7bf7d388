//! What is counted and traced of one request.

use std::time::Instant;

use hyper::HeaderMap;
use tracing::Span;
use tracing::field::Empty;

use super::ApiError;
use super::dispatch::known_operation;
use crate::audit::{AuditError, Outcome};
use crate::auth::AuthError;
use crate::metrics::{InFlight, RequestLabels, RequestMetrics};
use crate::server::{LocalAddress, Peer, Response};
use crate::trace::{CallersTrace, ErrorType, TARGET, relate};
use crate::traceparent::TraceParent;

/// A request on its way, from the moment that it is whole.
pub(super) struct ObservedRequest<'m> {
    metrics: &'m RequestMetrics,
    operation: Option<&'static str>,
    begun: Instant,
    span: Span,
    _in_flight: InFlight,
}

impl<'m> ObservedRequest<'m> {
    pub(super) fn begin(metrics: &'m RequestMetrics, operation: Option<&str>) -> Self {
        let operation = operation.and_then(known_operation);
        let method = operation.unwrap_or("_OTHER");
        // The attributes of the semantic conventions for RPC and for AWS. What cannot be told yet is recorded later.
        let span = tracing::info_span!(
            target: TARGET,
            "request",
            otel.name = Empty,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system = "aws-api",
            rpc.service = "KMS",
            rpc.method = method,
            aws.request_id = Empty,
            client.address = Empty,
            server.address = Empty,
            server.port = Empty,
            network.transport = Empty,
            http.response.status_code = Empty,
            error.type = Empty,
            broker.outcome = Empty,
        );
        if !span.is_disabled() {
            // The name is taken when the span begins, so it cannot be recorded later.
            span.record("otel.name", format!("KMS/{method}"));
        }
        Self { metrics, operation, begun: Instant::now(), span, _in_flight: metrics.begin() }
    }

    /// As part of the caller's trace, as far as it is believed.
    pub(super) fn related(self, headers: &HeaderMap, callers_trace: CallersTrace) -> Self {
        if callers_trace != CallersTrace::Ignore
            && !self.span.is_disabled()
            && let Some(traceparent) = traceparent(headers)
        {
            relate(&self.span, traceparent, callers_trace);
        }
        self
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Says in the span which request it is. Costs nothing where nobody takes spans.
    pub(super) fn describe(&self, request_id: &str, source: &str, peer: &Peer) {
        if self.span.is_disabled() {
            return;
        }
        self.span.record("aws.request_id", request_id);
        self.span.record("client.address", source);
        self.span.record("network.transport", peer.address.transport());
        match &peer.local {
            LocalAddress::Tcp(address) => {
                self.span.record("server.address", address.ip().to_string());
                self.span.record("server.port", address.port());
            }
            LocalAddress::Unix(path) => drop(self.span.record("server.address", path.display().to_string())),
            LocalAddress::Vsock { cid, port } => {
                self.span.record("server.address", cid.to_string());
                self.span.record("server.port", *port);
            }
        }
    }

    /// The request is answered.
    pub(super) fn end(self, error: Option<&ApiError>, response: &Response) {
        let outcome = error.map_or(Outcome::Allowed, ApiError::outcome);
        self.span.record("http.response.status_code", response.status().as_u16());
        self.span.record("broker.outcome", outcome.as_str());
        if let Some(error) = error {
            self.span.record("error.type", error.exception());
        }
        // A refusal is what a broker is for: only its own failure is an error of the server.
        if outcome == Outcome::Failed {
            self.span.record("otel.status_code", "ERROR");
        }
        let labels = RequestLabels {
            operation: self.operation.unwrap_or("other"),
            outcome: outcome.as_str(),
            exception: error.map_or("", ApiError::exception),
        };
        self.metrics.ended(&labels, self.begun.elapsed());
    }
}

/// The one `traceparent` of a request; of several none counts.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    TraceParent::parse(value.to_str().ok()?)
}

impl ErrorType for ApiError {
    fn error_type(&self) -> &'static str {
        self.exception()
    }
}

impl ErrorType for AuthError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::SigV4(_) => "signature",
            Self::UnknownCredential => "unknown_credential",
            Self::Expired => "expired",
            Self::Store(_) => "store",
            Self::RootKey(_) => "root_key",
        }
    }
}

impl ErrorType for AuditError {
    fn error_type(&self) -> &'static str {
        "audit"
    }
}
