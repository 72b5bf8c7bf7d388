use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::custom_key_store::{self, NO_CUSTOM_KEY_STORES};
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A custom key store changed (KMS API reference, *UpdateCustomKeyStore*), which this broker does not have.
pub struct UpdateCustomKeyStore {
    id: String,
}

impl Operation for UpdateCustomKeyStore {
    const NAME: &'static str = "UpdateCustomKeyStore";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let id = custom_key_store::required_id(members)?;
        members.string("NewCustomKeyStoreName", 1..=256)?;
        custom_key_store::check_connection(members)?;
        Ok(Self { id })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new().with("customKeyStoreId", &self.id).into_value()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_CUSTOM_KEY_STORES)
    }
}
