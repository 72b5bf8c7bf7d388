use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use super::recipient::Recipient;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{self, MAX_DATA_KEY_LEN};
use crate::metrics::Stage;

/// Random bytes, encrypted to an attested enclave (KMS API reference, *GenerateRandom*). It uses no key, so no key policy
/// is asked: genuine evidence is all that it takes, unless an identity policy denies it.
pub struct GenerateRandom {
    length: usize,
    has_custom_key_store: bool,
    recipient: Option<Recipient>,
}

/// The answer. `Plaintext` does not exist here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateRandomResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_for_recipient: Vec<u8>,
}

impl Operation for GenerateRandom {
    const NAME: &'static str = "GenerateRandom";
    type Response = GenerateRandomResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let length = members.integer("NumberOfBytes", 1..=MAX_DATA_KEY_LEN as i64)?;
        let length = length.ok_or_else(|| members.missing("NumberOfBytes"))?;
        Ok(Self {
            length: usize::try_from(length).unwrap_or(0),
            has_custom_key_store: members.string("CustomKeyStoreId", 1..=64)?.is_some(),
            recipient: Recipient::parse(members)?,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("numberOfBytes", self.length)
            .with_recipient(self.recipient.as_ref())
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GenerateRandomResponse, OperationError> {
        if self.has_custom_key_store {
            return Err(OperationError::Unsupported("this broker has no custom key stores"));
        }
        broker.require_no_deny("kms:GenerateRandom", "*", invocation, event).await?;
        let recipient = self
            .recipient
            .as_ref()
            .ok_or(OperationError::RecipientRequired { operation: Self::NAME, alternative: "" })?;
        let attested = recipient.attest(broker, invocation, event)?;
        let envelope =
            broker.in_stage(Stage::Envelope, || keys::random_for_recipient(&attested, self.length))?;
        Ok(GenerateRandomResponse { ciphertext_for_recipient: envelope.as_bytes().to_vec() })
    }
}
