use serde_json::Value;

use super::broker::Broker;
use super::encapsulation::{EncapsulationRequest, NO_ML_KEM_KEYS};
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A shared secret and its encapsulation to an ML-KEM key (KMS API reference, *Encapsulate*). This broker has no such keys.
pub struct Encapsulate {
    request: EncapsulationRequest,
}

impl Operation for Encapsulate {
    const NAME: &'static str = "Encapsulate";
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { request: EncapsulationRequest::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_ML_KEM_KEYS)
    }
}
