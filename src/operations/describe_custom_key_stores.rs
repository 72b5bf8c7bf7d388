use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::custom_key_store::NO_CUSTOM_KEY_STORES;
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::pattern::MARKER;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// The custom key stores (KMS API reference, *DescribeCustomKeyStores*), of which this broker has none.
pub struct DescribeCustomKeyStores {
    id: Option<String>,
    name: Option<String>,
}

impl Operation for DescribeCustomKeyStores {
    const NAME: &'static str = "DescribeCustomKeyStores";
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        members.integer("Limit", 1..=1000)?;
        members.text_of("Marker", 1..=1024, &MARKER)?;
        Ok(Self {
            id: members.string("CustomKeyStoreId", 1..=64)?.map(str::to_owned),
            name: members.string("CustomKeyStoreName", 1..=256)?.map(str::to_owned),
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with_optional("customKeyStoreId", self.id.as_deref())
            .with_optional("customKeyStoreName", self.name.as_deref())
            .into_value()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_CUSTOM_KEY_STORES)
    }
}
