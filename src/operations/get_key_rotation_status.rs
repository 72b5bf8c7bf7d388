use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, require_rotatable};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::KeyState;

/// Whether and when a key is rotated by itself (KMS API reference, *GetKeyRotationStatus*).
pub struct GetKeyRotationStatus {
    key: ManagedKey,
}

/// The answer. The date is in seconds since 1970 in UTC. A rotation on demand is complete when it is answered, so none is
/// ever shown as begun.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyRotationStatusResponse {
    key_id: String,
    key_rotation_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_in_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<f64>,
}

impl Operation for GetKeyRotationStatus {
    const NAME: &'static str = "GetKeyRotationStatus";
    type Response = GetKeyRotationStatusResponse;

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
    ) -> Result<GetKeyRotationStatusResponse, OperationError> {
        let key = &self.key.authorized("kms:GetKeyRotationStatus", broker, invocation, event).await?.key;
        require_rotatable(key)?;
        // A key that is to be deleted is not rotated; when it is spared, it is as before.
        let rotation = key.rotation.filter(|_| key.state != KeyState::PendingDeletion);
        Ok(GetKeyRotationStatusResponse {
            key_id: key.arn.to_string(),
            key_rotation_enabled: rotation.is_some(),
            rotation_period_in_days: rotation.map(|rotation| rotation.period_days),
            next_rotation_date: rotation.map(|rotation| super::members::as_date(rotation.next_at)),
        })
    }
}
