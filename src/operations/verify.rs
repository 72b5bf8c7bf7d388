use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use super::sign::{Authorized, SigningRequest};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys;
use crate::metrics::Stage;

/// Bytes of `Signature` (KMS API reference, *Verify*).
const SIGNATURE_LEN: std::ops::RangeInclusive<usize> = 1..=6144;

/// Whether a signature is one by a key of the broker; if not, that is an error (KMS API reference, *Verify*). Beyond
/// KMS, `Recipient` may show the policy an enclave.
pub struct Verify {
    request: SigningRequest,
    signature: Vec<u8>,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyResponse {
    key_id: String,
    signature_valid: bool,
    signing_algorithm: &'static str,
}

impl Operation for Verify {
    const NAME: &'static str = "Verify";
    type Response = VerifyResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let signature = members.blob("Signature", SIGNATURE_LEN)?;
        Ok(Self {
            request: SigningRequest::parse(members)?,
            signature: signature.ok_or_else(|| members.missing("Signature"))?,
        })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<VerifyResponse, OperationError> {
        let Authorized { entry, permit, scheme } =
            self.request.authorized("kms:Verify", Self::NAME, broker, invocation, event).await?;
        let message = self.request.message();
        let verify = || keys::verify(&permit, &entry.key, scheme, message, &self.signature);
        if !broker.in_stage(Stage::UseKey, verify)? {
            return Err(OperationError::InvalidSignature);
        }
        Ok(VerifyResponse {
            key_id: entry.key.arn.to_string(),
            signature_valid: true,
            signing_algorithm: self.request.algorithm.name(),
        })
    }
}
