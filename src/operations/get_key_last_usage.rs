use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::LastUsage;

/// What a key was last used for, and when (KMS API reference, *GetKeyLastUsage*).
pub struct GetKeyLastUsage {
    key: ManagedKey,
}

/// The answer. Dates are in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyLastUsageResponse {
    key_id: String,
    key_last_usage: KeyLastUsage,
    tracking_start_date: f64,
    key_creation_date: f64,
}

/// Empty where the key has not been used since its use is tracked.
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct KeyLastUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_trail_event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_request_id: Option<String>,
}

impl Operation for GetKeyLastUsage {
    const NAME: &'static str = "GetKeyLastUsage";
    type Response = GetKeyLastUsageResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GetKeyLastUsageResponse, OperationError> {
        let key = &self.key.authorized("kms:GetKeyLastUsage", broker, invocation, event).await?.key;
        let last_usage = broker.last_usage(key.id).await?;
        let tracked_since = broker.store().usage_tracked_since().await?;
        Ok(GetKeyLastUsageResponse {
            key_id: key.arn.to_string(),
            key_last_usage: last_usage.map(KeyLastUsage::of).unwrap_or_default(),
            tracking_start_date: super::members::as_date(tracked_since.max(key.created_at)),
            key_creation_date: super::members::as_date(key.created_at),
        })
    }
}

impl KeyLastUsage {
    fn of(usage: LastUsage) -> Self {
        let LastUsage { operation, time, event_id, request_id } = usage;
        Self {
            operation: Some(operation),
            timestamp: Some(super::members::as_date(time)),
            cloud_trail_event_id: Some(event_id),
            kms_request_id: Some(request_id),
        }
    }
}
