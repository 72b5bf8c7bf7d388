use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::key_policy_name;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::pattern::MARKER;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// The names of a key's policies: one, `default` (KMS API reference, *ListKeyPolicies*).
pub struct ListKeyPolicies {
    key: ManagedKey,
}

/// The answer, always whole.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyPoliciesResponse {
    policy_names: [&'static str; 1],
    truncated: bool,
}

impl Operation for ListKeyPolicies {
    const NAME: &'static str = "ListKeyPolicies";
    type Response = ListKeyPoliciesResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        // One name fits every page, and no answer has a marker to come back with.
        members.integer("Limit", 1..=1000)?;
        members.text_of("Marker", 1..=1024, &MARKER)?;
        Ok(Self { key })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ListKeyPoliciesResponse, OperationError> {
        self.key.authorized("kms:ListKeyPolicies", broker, invocation, event).await?;
        Ok(ListKeyPoliciesResponse { policy_names: [key_policy_name::DEFAULT], truncated: false })
    }
}
