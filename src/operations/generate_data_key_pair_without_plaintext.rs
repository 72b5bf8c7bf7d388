use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::generate_data_key_pair::DataKeyPairRequest;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// A new key pair, its private key sealed under a key of the broker and given to nobody yet
/// (KMS API reference, *GenerateDataKeyPairWithoutPlaintext*). Beyond KMS, `Recipient` may show the policy an enclave.
pub struct GenerateDataKeyPairWithoutPlaintext {
    request: DataKeyPairRequest,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairWithoutPlaintextResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    private_key_ciphertext_blob: Vec<u8>,
    #[serde(serialize_with = "super::members::as_base64")]
    public_key: Vec<u8>,
    key_id: String,
    key_pair_spec: &'static str,
    key_material_id: String,
}

impl Operation for GenerateDataKeyPairWithoutPlaintext {
    const NAME: &'static str = "GenerateDataKeyPairWithoutPlaintext";
    type Response = GenerateDataKeyPairWithoutPlaintextResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { request: DataKeyPairRequest::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GenerateDataKeyPairWithoutPlaintextResponse, OperationError> {
        const ACTION: &str = "kms:GenerateDataKeyPairWithoutPlaintext";
        let made = self.request.make(ACTION, Self::NAME, broker, invocation, event).await?;
        Ok(GenerateDataKeyPairWithoutPlaintextResponse {
            private_key_ciphertext_blob: made.blob.as_bytes().to_vec(),
            public_key: made.pair.public_key,
            key_id: made.key_arn,
            key_pair_spec: made.spec,
            key_material_id: made.material_id.to_string(),
        })
    }
}
