use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::key_policy_name;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A key's policy, byte for byte as it was put (KMS API reference, *GetKeyPolicy*).
pub struct GetKeyPolicy {
    key: ManagedKey,
    policy_name: String,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyPolicyResponse {
    policy: String,
    policy_name: &'static str,
}

impl Operation for GetKeyPolicy {
    const NAME: &'static str = "GetKeyPolicy";
    type Response = GetKeyPolicyResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)?, policy_name: key_policy_name::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GetKeyPolicyResponse, OperationError> {
        let entry = self.key.authorized("kms:GetKeyPolicy", broker, invocation, event).await?;
        key_policy_name::require_default(&self.policy_name)?;
        Ok(GetKeyPolicyResponse {
            policy: entry.key.policy.text().to_owned(),
            policy_name: key_policy_name::DEFAULT,
        })
    }
}
