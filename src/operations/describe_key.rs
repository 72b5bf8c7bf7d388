use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::key_metadata::KeyMetadata;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// What there is to say about a key, in any state (KMS API reference, *DescribeKey*).
pub struct DescribeKey {
    key: ManagedKey,
    grant_tokens: GrantTokens,
}

/// The answer. Dates are seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyResponse {
    key_metadata: KeyMetadata<f64>,
}

impl Operation for DescribeKey {
    const NAME: &'static str = "DescribeKey";
    type Response = DescribeKeyResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)?, grant_tokens: GrantTokens::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<DescribeKeyResponse, OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let entry = self.key.authorized_by_any_name("kms:DescribeKey", broker, invocation, event).await?;
        Ok(DescribeKeyResponse {
            key_metadata: KeyMetadata::of(&entry, broker.realm(), invocation.now, super::members::as_date),
        })
    }
}
