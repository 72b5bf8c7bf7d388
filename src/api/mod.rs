//! AWS JSON 1.1: from an HTTP request to a typed operation, and back.
//!
//! Every request but a health check ends in an audit record, also one that is refused before it is understood, and no
//! answer leaves before its record is durable.

mod error;
mod http;

use std::sync::Arc;

use hyper::StatusCode;

pub use self::error::ApiError;
use self::http::{ANSWER_TO_PING, error_response, is_ping, success_response, target_operation};
use crate::audit::{AuditEvent, AuditLog, Ending, ExpectedRecord, Outcome, Subject, Unrecorded, random_id};
use crate::auth::authenticate;
use crate::auth::sigv4::{RawRequest, SignatureWindow};
use crate::json::Json;
use crate::keys::{LastUsage, is_tracked_usage};
use crate::operations::{
    Broker, CancelKeyDeletion, ConnectCustomKeyStore, CreateAlias, CreateCustomKeyStore, CreateGrant,
    CreateKey, Decapsulate, Decrypt, DeleteAlias, DeleteCustomKeyStore, DeleteImportedKeyMaterial,
    DeriveSharedSecret, DescribeCustomKeyStores, DescribeKey, DisableKey, DisableKeyRotation,
    DisconnectCustomKeyStore, EnableKey, EnableKeyRotation, Encapsulate, Encrypt, GenerateDataKey,
    GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateDataKeyWithoutPlaintext, GenerateMac,
    GenerateRandom, GetKeyLastUsage, GetKeyPolicy, GetKeyRotationStatus, GetParametersForImport,
    GetPublicKey, Housekeeping, ImportKeyMaterial, Invocation, ListAliases, ListGrants, ListKeyPolicies,
    ListKeyRotations, ListKeys, ListResourceTags, ListRetirableGrants, Members, Operation, OperationError,
    PutKeyPolicy, ReEncrypt, ReplicateKey, RetireGrant, RevokeGrant, RotateKeyOnDemand, ScheduleKeyDeletion,
    Sign, TagResource, UntagResource, UpdateAlias, UpdateCustomKeyStore, UpdateKeyDescription,
    UpdatePrimaryRegion, Verify, VerifyMac, keep_house,
};
use crate::server::{Handler, PeerAddress, ReceivedRequest, Response};
use crate::store::StoreError;
use crate::text::shorten;
use crate::time::UnixTime;

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
}

/// What came of a request, before anybody may see it.
type Answer = Unrecorded<Result<Vec<u8>, ApiError>>;

impl Api {
    /// An endpoint over `broker` that records in `audit`.
    pub fn new(broker: Broker, audit: AuditLog, clock: Clock) -> Self {
        let configured_trust_anchors =
            broker.verifier().trust_anchors().configured().map(ToString::to_string).collect();
        let window = SignatureWindow::default();
        Self { broker, audit, clock, window, configured_trust_anchors }
    }

    /// The same, taking signatures within `window` only.
    #[must_use]
    pub fn with_signature_window(self, window: SignatureWindow) -> Self {
        Self { window, ..self }
    }

    /// Does what is due to keys by itself; see [`keep_house`].
    ///
    /// # Errors
    /// As [`keep_house`].
    pub async fn keep_house(&self) -> Result<Housekeeping, OperationError> {
        keep_house(&self.broker, &self.audit, (self.clock)(), &self.configured_trust_anchors).await
    }

    /// Answers one request: carries it out, records it, and only then shows the result.
    async fn answer(&self, request: &ReceivedRequest) -> Response {
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
        let result = self.carry_out(request, now, &mut event).await;
        match self.record(expected, event, result).await {
            Ok(body) => success_response(&request_id, body),
            Err(error) => error_response(&request_id, &error),
        }
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
        let authenticated = authenticate(&self.broker, raw, &self.window, now).await?;
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
        match operation {
            CancelKeyDeletion::NAME => self.run::<CancelKeyDeletion>(&members, &invocation, event).await,
            ConnectCustomKeyStore::NAME => {
                self.run::<ConnectCustomKeyStore>(&members, &invocation, event).await
            }
            CreateAlias::NAME => self.run::<CreateAlias>(&members, &invocation, event).await,
            CreateCustomKeyStore::NAME => {
                self.run::<CreateCustomKeyStore>(&members, &invocation, event).await
            }
            CreateKey::NAME => self.run::<CreateKey>(&members, &invocation, event).await,
            CreateGrant::NAME => self.run::<CreateGrant>(&members, &invocation, event).await,
            Decapsulate::NAME => self.run::<Decapsulate>(&members, &invocation, event).await,
            Decrypt::NAME => self.run::<Decrypt>(&members, &invocation, event).await,
            DeleteAlias::NAME => self.run::<DeleteAlias>(&members, &invocation, event).await,
            DeleteCustomKeyStore::NAME => {
                self.run::<DeleteCustomKeyStore>(&members, &invocation, event).await
            }
            DeleteImportedKeyMaterial::NAME => {
                self.run::<DeleteImportedKeyMaterial>(&members, &invocation, event).await
            }
            DeriveSharedSecret::NAME => self.run::<DeriveSharedSecret>(&members, &invocation, event).await,
            DescribeCustomKeyStores::NAME => {
                self.run::<DescribeCustomKeyStores>(&members, &invocation, event).await
            }
            DescribeKey::NAME => self.run::<DescribeKey>(&members, &invocation, event).await,
            DisableKey::NAME => self.run::<DisableKey>(&members, &invocation, event).await,
            DisableKeyRotation::NAME => self.run::<DisableKeyRotation>(&members, &invocation, event).await,
            DisconnectCustomKeyStore::NAME => {
                self.run::<DisconnectCustomKeyStore>(&members, &invocation, event).await
            }
            EnableKey::NAME => self.run::<EnableKey>(&members, &invocation, event).await,
            EnableKeyRotation::NAME => self.run::<EnableKeyRotation>(&members, &invocation, event).await,
            Encapsulate::NAME => self.run::<Encapsulate>(&members, &invocation, event).await,
            Encrypt::NAME => self.run::<Encrypt>(&members, &invocation, event).await,
            GenerateDataKey::NAME => self.run::<GenerateDataKey>(&members, &invocation, event).await,
            GenerateDataKeyPair::NAME => self.run::<GenerateDataKeyPair>(&members, &invocation, event).await,
            GenerateDataKeyPairWithoutPlaintext::NAME => {
                self.run::<GenerateDataKeyPairWithoutPlaintext>(&members, &invocation, event).await
            }
            GenerateDataKeyWithoutPlaintext::NAME => {
                self.run::<GenerateDataKeyWithoutPlaintext>(&members, &invocation, event).await
            }
            GenerateMac::NAME => self.run::<GenerateMac>(&members, &invocation, event).await,
            GenerateRandom::NAME => self.run::<GenerateRandom>(&members, &invocation, event).await,
            GetKeyLastUsage::NAME => self.run::<GetKeyLastUsage>(&members, &invocation, event).await,
            GetKeyPolicy::NAME => self.run::<GetKeyPolicy>(&members, &invocation, event).await,
            GetKeyRotationStatus::NAME => {
                self.run::<GetKeyRotationStatus>(&members, &invocation, event).await
            }
            GetParametersForImport::NAME => {
                self.run::<GetParametersForImport>(&members, &invocation, event).await
            }
            GetPublicKey::NAME => self.run::<GetPublicKey>(&members, &invocation, event).await,
            ImportKeyMaterial::NAME => self.run::<ImportKeyMaterial>(&members, &invocation, event).await,
            ListAliases::NAME => self.run::<ListAliases>(&members, &invocation, event).await,
            ListKeyPolicies::NAME => self.run::<ListKeyPolicies>(&members, &invocation, event).await,
            ListKeyRotations::NAME => self.run::<ListKeyRotations>(&members, &invocation, event).await,
            ListKeys::NAME => self.run::<ListKeys>(&members, &invocation, event).await,
            ListResourceTags::NAME => self.run::<ListResourceTags>(&members, &invocation, event).await,
            ListGrants::NAME => self.run::<ListGrants>(&members, &invocation, event).await,
            ListRetirableGrants::NAME => self.run::<ListRetirableGrants>(&members, &invocation, event).await,
            PutKeyPolicy::NAME => self.run::<PutKeyPolicy>(&members, &invocation, event).await,
            ReEncrypt::NAME => self.run::<ReEncrypt>(&members, &invocation, event).await,
            ReplicateKey::NAME => self.run::<ReplicateKey>(&members, &invocation, event).await,
            RetireGrant::NAME => self.run::<RetireGrant>(&members, &invocation, event).await,
            RevokeGrant::NAME => self.run::<RevokeGrant>(&members, &invocation, event).await,
            RotateKeyOnDemand::NAME => self.run::<RotateKeyOnDemand>(&members, &invocation, event).await,
            ScheduleKeyDeletion::NAME => self.run::<ScheduleKeyDeletion>(&members, &invocation, event).await,
            TagResource::NAME => self.run::<TagResource>(&members, &invocation, event).await,
            UntagResource::NAME => self.run::<UntagResource>(&members, &invocation, event).await,
            Sign::NAME => self.run::<Sign>(&members, &invocation, event).await,
            UpdateAlias::NAME => self.run::<UpdateAlias>(&members, &invocation, event).await,
            UpdateCustomKeyStore::NAME => {
                self.run::<UpdateCustomKeyStore>(&members, &invocation, event).await
            }
            UpdateKeyDescription::NAME => {
                self.run::<UpdateKeyDescription>(&members, &invocation, event).await
            }
            UpdatePrimaryRegion::NAME => self.run::<UpdatePrimaryRegion>(&members, &invocation, event).await,
            Verify::NAME => self.run::<Verify>(&members, &invocation, event).await,
            VerifyMac::NAME => self.run::<VerifyMac>(&members, &invocation, event).await,
            other => Err(ApiError::unknown_operation(other)),
        }
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
        match expected.record(line).await {
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
