use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::KeyStateError;

/// A key spared from its deletion; it is disabled then (KMS API reference, *CancelKeyDeletion*).
pub struct CancelKeyDeletion {
    key: ManagedKey,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelKeyDeletionResponse {
    key_id: String,
}

impl Operation for CancelKeyDeletion {
    const NAME: &'static str = "CancelKeyDeletion";
    const READ_ONLY: bool = false;
    type Response = CancelKeyDeletionResponse;

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
    ) -> Result<CancelKeyDeletionResponse, OperationError> {
        let key = &self.key.authorized("kms:CancelKeyDeletion", broker, invocation, event).await?.key;
        if !broker.store().cancel_deletion(key.id).await? {
            return Err(KeyStateError::NotPendingDeletion(key.arn.clone()).into());
        }
        Ok(CancelKeyDeletionResponse { key_id: key.arn.to_string() })
    }
}
