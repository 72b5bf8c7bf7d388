use serde::Serialize;
use serde_json::Value;

use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::generate_data_key::DataKeyRequest;
use super::members::{MemberError, Members};
use super::recipient::{Recipient, attest_if_sent};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{self, DataKey};
use crate::metrics::Stage;

/// A new data key, sealed under a key of the broker and given to nobody yet
/// (KMS API reference, *GenerateDataKeyWithoutPlaintext*). Beyond KMS, `Recipient` may show the policy an enclave.
pub struct GenerateDataKeyWithoutPlaintext {
    request: DataKeyRequest,
    recipient: Option<Recipient>,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyWithoutPlaintextResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_blob: Vec<u8>,
    key_id: String,
    key_material_id: String,
}

impl Operation for GenerateDataKeyWithoutPlaintext {
    const NAME: &'static str = "GenerateDataKeyWithoutPlaintext";
    type Response = GenerateDataKeyWithoutPlaintextResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { request: DataKeyRequest::parse(members)?, recipient: Recipient::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters(self.recipient.as_ref())
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GenerateDataKeyWithoutPlaintextResponse, OperationError> {
        let (identifier, entry) = self.request.key(Self::NAME, broker, invocation, event).await?;
        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let context = &self.request.encryption_context;
        let access = Access {
            named_as: Some(&identifier),
            recipient: attested.as_ref(),
            encryption_context: context,
            encryption_algorithm: Some("SYMMETRIC_DEFAULT"),
            ..Access::new("kms:GenerateDataKeyWithoutPlaintext", &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        self.request.end_dry_run()?;
        let material = broker.current_material(&permit, &entry.key).await?;
        let data_key = DataKey::generate(self.request.length)?;
        let seal = || keys::seal(&permit, &entry.key, &material, context, &data_key);
        let blob = broker.in_stage(Stage::UseKey, seal)?;
        Ok(GenerateDataKeyWithoutPlaintextResponse {
            ciphertext_blob: blob.as_bytes().to_vec(),
            key_id: entry.key.arn.to_string(),
            key_material_id: material.id().to_string(),
        })
    }
}
