use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::custom_key_store::{self, NO_CUSTOM_KEY_STORES};
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A custom key store connected (KMS API reference, *ConnectCustomKeyStore*), which this broker does not have.
pub struct ConnectCustomKeyStore {
    id: String,
}

impl Operation for ConnectCustomKeyStore {
    const NAME: &'static str = "ConnectCustomKeyStore";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { id: custom_key_store::required_id(members)? })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new().with("customKeyStoreId", &self.id).into_value()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_CUSTOM_KEY_STORES)
    }
}
