use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::custom_key_store::{self, NO_CUSTOM_KEY_STORES};
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A custom key store (KMS API reference, *CreateCustomKeyStore*), which this broker does not have.
pub struct CreateCustomKeyStore {
    name: String,
}

impl Operation for CreateCustomKeyStore {
    const NAME: &'static str = "CreateCustomKeyStore";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const TYPES: [(&str, ()); 2] = [("AWS_CLOUDHSM", ()), ("EXTERNAL_KEY_STORE", ())];
        let name = members.required_string("CustomKeyStoreName", 1..=256)?.to_owned();
        members.one_of("CustomKeyStoreType", &TYPES)?;
        members.string("TrustAnchorCertificate", 1..=5000)?;
        custom_key_store::check_connection(members)?;
        Ok(Self { name })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new().with("customKeyStoreName", &self.name).into_value()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_CUSTOM_KEY_STORES)
    }
}
