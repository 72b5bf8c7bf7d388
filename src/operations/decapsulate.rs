use serde_json::Value;

use super::broker::Broker;
use super::encapsulation::{EncapsulationRequest, NO_ML_KEM_KEYS};
use super::error::OperationError;
use super::managed_key::NoMembers;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// Bytes of `SharedSecretCiphertextBlob` (KMS API reference, *Decapsulate*).
const CIPHERTEXT_LEN: std::ops::RangeInclusive<usize> = 1..=6144;

/// What was encapsulated to an ML-KEM key (KMS API reference, *Decapsulate*). This broker has no such keys.
pub struct Decapsulate {
    request: EncapsulationRequest,
}

impl Operation for Decapsulate {
    const NAME: &'static str = "Decapsulate";
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let blob = members.blob("SharedSecretCiphertextBlob", CIPHERTEXT_LEN)?;
        blob.ok_or_else(|| members.missing("SharedSecretCiphertextBlob"))?;
        Ok(Self { request: EncapsulationRequest::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_ML_KEM_KEYS)
    }
}
