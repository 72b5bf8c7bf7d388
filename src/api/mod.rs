//! AWS JSON 1.1: from an HTTP request to a typed operation, and back.
//!
//! Every request but a health check ends in an audit record, also one that is refused before it is understood, and no
//! answer leaves before its record is durable.

mod dispatch;
mod error;
mod health;
mod http;
mod telemetry;

use std::sync::Arc;

use hyper::StatusCode;
use prometheus_client::registry::Registry;
use tracing::Instrument;

pub use self::error::ApiError;
use self::http::{ANSWER_TO_PING, error_response, is_ping, success_response, target_operation};
use self::telemetry::ObservedRequest;
use crate::attestation::TrustAnchors;
use crate::audit::{AuditEvent, AuditLog, Ending, ExpectedRecord, Outcome, Subject, Unrecorded, random_id};
use crate::auth::authenticate;
use crate::auth::sigv4::{RawRequest, SignatureWindow};
use crate::json::Json;
use crate::keys::{LastUsage, is_tracked_usage};
use crate::metrics::{HousekeepingAction, HousekeepingMetrics, Register, RequestMetrics, Stage};
use crate::operations::{Broker, Housekeeping, Invocation, Members, Operation, OperationError, keep_house};
use crate::server::{Handler, PeerAddress, ReceivedRequest, Response};
use crate::store::StoreError;
use crate::text::shorten;
use crate::time::UnixTime;
use crate::trace::{CallersTrace, in_async_stage};

/// Where the time comes from. The system clock in production; a test may hold it still.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// The KMS endpoint.
pub struct Api {
    broker: Broker,
    audit: AuditLog,
    clock: Clock,
    window: SignatureWindow,
    /// Roots that evidence may lead to beside that of AWS, for every record.
    configured_trust_anchors: Vec<String>,
    housekeeping: HousekeepingMetrics,
    callers_trace: CallersTrace,
}

/// What came of a request, before anybody may see it.
type Answer = Unrecorded<Result<Vec<u8>, ApiError>>;

impl Api {
    /// An endpoint over `broker` that records in `audit`.
    pub fn new(broker: Broker, audit: AuditLog, clock: Clock) -> Self {
        let configured_trust_anchors =
            broker.verifier().trust_anchors().configured().map(ToString::to_string).collect();
        let window = SignatureWindow::default();
        let housekeeping = HousekeepingMetrics::default();
        Self {
            broker,
            audit,
            clock,
            window,
            configured_trust_anchors,
            housekeeping,
            callers_trace: CallersTrace::default(),
        }
    }

    /// The same, taking signatures within `window` only.
    #[must_use]
    pub fn with_signature_window(self, window: SignatureWindow) -> Self {
        Self { window, ..self }
    }

    /// The same, with requests' spans related to what their callers say is their trace.
    #[must_use]
    pub fn with_callers_trace(self, callers_trace: CallersTrace) -> Self {
        Self { callers_trace, ..self }
    }

    /// Does what is due to keys by itself; see [`keep_house`].
    ///
    /// # Errors
    /// As [`keep_house`].
    pub async fn keep_house(&self) -> Result<Housekeeping, OperationError> {
        let now = (self.clock)();
        let round = async {
            let done = keep_house(&self.broker, &self.audit, now, &self.configured_trust_anchors).await?;
            Ok::<_, OperationError>((done, self.broker.store().count_keys(now).await?))
        };
        let (done, keys) = round.await.inspect_err(|_| self.housekeeping.round_failed())?;
        let Housekeeping { deleted, rotated, expired, failed } = done;
        self.housekeeping.done(HousekeepingAction::Deleted, deleted);
        self.housekeeping.done(HousekeepingAction::Rotated, rotated);
        self.housekeeping.done(HousekeepingAction::Expired, expired);
        self.housekeeping.done(HousekeepingAction::Failed, failed);
        self.housekeeping.round_ended(now, &keys);
        Ok(done)
    }

    /// The roots that evidence may lead to.
    pub fn trust_anchors(&self) -> &TrustAnchors {
        self.broker.verifier().trust_anchors()
    }

    fn metrics(&self) -> &RequestMetrics {
        self.broker.metrics()
    }

    /// Answers one request: carries it out, records it, and only then shows the result.
    async fn answer(&self, request: &ReceivedRequest) -> Response {
        let observed = ObservedRequest::begin(self.metrics(), target_operation(&request.headers))
            .related(&request.headers, self.callers_trace);
        let span = observed.span();
        self.answer_observed(request, observed).instrument(span).await
    }

    async fn answer_observed(&self, request: &ReceivedRequest, observed: ObservedRequest<'_>) -> Response {
        let expected = self.audit.expect();
        let now = (self.clock)();
        let request_id = random_id();
        let mut event = AuditEvent::new(Subject {
            request_id: request_id.clone(),
            time: now,
            operation: target_operation(&request.headers).map_or_else(|| "Unknown".to_owned(), shorten),
            source: source(&request.peer.address),
            user_agent: http::user_agent(&request.headers),
        });
        observed.describe(&request_id, &event.subject().source, &request.peer);
        let result = self.carry_out(request, now, &mut event).await;
        let answer = self.record(expected, event, result).await;
        let error = answer.as_ref().err().cloned();
        let response = match answer {
            Ok(body) => success_response(&request_id, body),
            Err(error) => error_response(&request_id, &error),
        };
        observed.end(error.as_ref(), &response);
        response
    }

    async fn carry_out(
        &self,
        request: &ReceivedRequest,
        now: UnixTime,
        event: &mut AuditEvent,
    ) -> Result<Vec<u8>, ApiError> {
        let body = request.body.as_ref().map_err(|error| ApiError::from(*error))?;
        let operation = http::check_target(request)?;
        let raw = RawRequest {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
            headers: &request.headers,
            body,
        };
        let stages = &self.metrics().stages;
        let authenticated = authenticate(&self.broker, raw, &self.window, now);
        let authenticated = in_async_stage(stages, Stage::Authenticate, authenticated).await?;
        event.set_caller(&authenticated.caller, authenticated.access_key_id.as_deref());
        let invocation = Invocation {
            caller: authenticated.caller,
            now,
            source_ip: match &request.peer.address {
                PeerAddress::Tcp(address) => Some(address.ip()),
                PeerAddress::Unix { .. } | PeerAddress::Vsock { .. } => None,
            },
            secure_transport: request.peer.tls,
            user_agent: http::user_agent(&request.headers),
        };
        let members = Json::parse(body).map_err(|error| ApiError::not_json(&error))?;
        let done = self.dispatch(operation, &members, &invocation, event);
        in_async_stage(stages, Stage::Operation, done).await
    }

    async fn run<O: Operation>(
        &self,
        members: &Json,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Vec<u8>, ApiError> {
        let operation = O::parse(&Members::of_request(members)?)?;
        event.set_request_parameters(operation.audit_parameters());
        if !O::READ_ONLY {
            event.set_changes_something();
        }
        let response = operation.run(&self.broker, invocation, event).await?;
        serde_json::to_vec(&response).map_err(|error| ApiError::internal(&error))
    }

    /// Makes the record durable and gives out the result; without a record there is none.
    async fn record(
        &self,
        expected: ExpectedRecord<'_>,
        event: AuditEvent,
        result: Result<Vec<u8>, ApiError>,
    ) -> Result<Vec<u8>, ApiError> {
        let outcome = result.as_ref().map_or_else(ApiError::outcome, |_| Outcome::Allowed);
        let error = result.as_ref().err().map(|error| (error.exception(), error.message()));
        let event_id = random_id();
        let ending = Ending {
            outcome,
            error,
            configured_trust_anchors: &self.configured_trust_anchors,
            event_id: &event_id,
        };
        let line = event.to_line(self.broker.realm(), ending).map_err(|error| ApiError::internal(&error))?;
        log_decision(&event, outcome, error);
        let is_success = result.is_ok();
        let answer: Answer = Unrecorded::new(result);
        let recorded = in_async_stage(&self.metrics().stages, Stage::Record, expected.record(line));
        match recorded.await {
            Ok(recorded) => {
                if is_success {
                    self.note_usage(&event, event_id);
                }
                answer.release(recorded)
            }
            Err(error) => Err(ApiError::internal(&error)),
        }
    }
}

impl Api {
    /// Notes what the keys of a successful operation were used for.
    fn note_usage(&self, event: &AuditEvent, event_id: String) {
        let Subject { request_id, time, operation, .. } = event.subject();
        if !is_tracked_usage(operation) {
            return;
        }
        let usage =
            LastUsage { operation: operation.clone(), time: *time, event_id, request_id: request_id.clone() };
        for arn in event.keys() {
            self.broker.note_usage(arn.key_id(), usage.clone());
        }
    }

    /// Tells the store what it does not know yet of the keys' usage: at the end, as it is told from time to time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn store_usages(&self) -> Result<(), StoreError> {
        self.broker.store_usages().await
    }
}

impl Api {
    /// Signs a last checkpoint of the audit log and gives its sinks time to take what waits for them.
    pub async fn finish_audit(&self) {
        self.audit.finish().await;
    }
}

impl Register for Api {
    fn register(&self, registry: &mut Registry) {
        self.metrics().register(registry);
        self.audit.metrics().register(registry);
        self.broker.caches().register(registry);
        self.housekeeping.register(registry);
    }
}

impl Handler for Api {
    async fn handle(&self, request: ReceivedRequest) -> Response {
        if is_ping(&request) {
            return http::text_response(StatusCode::OK, ANSWER_TO_PING);
        }
        self.answer(&request).await
    }

    fn answer_to_panic(&self) -> Response {
        error_response(&random_id(), &ApiError::internal(&"the request's task panicked"))
    }
}

fn log_decision(event: &AuditEvent, outcome: Outcome, error: Option<(&str, &str)>) {
    let Subject { request_id, operation, source, .. } = event.subject();
    match error {
        // The audit log has it; here it would cost a write a request.
        None => tracing::debug!(request_id, operation, source, "{outcome:?}"),
        // Not a field called message, which would be written without escapes: it quotes what the caller sent.
        Some((exception, reason)) => {
            tracing::info!(request_id, operation, source, exception, reason, "{outcome:?}");
        }
    }
}

fn source(address: &PeerAddress) -> String {
    match address {
        PeerAddress::Tcp(address) => address.ip().to_string(),
        address @ (PeerAddress::Unix { .. } | PeerAddress::Vsock { .. }) => address.to_string(),
    }
}
