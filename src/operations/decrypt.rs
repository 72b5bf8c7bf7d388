use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::encryption_terms::TermNames;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::received_ciphertext::{LocatedCiphertext, ReceivedCiphertext};
use super::recipient::Recipient;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys;
use crate::metrics::Stage;

/// What a ciphertext holds, encrypted to an attested enclave (KMS API reference, *Decrypt*).
pub struct Decrypt {
    received: ReceivedCiphertext,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

/// The answer. `Plaintext` does not exist here, and `KeyMaterialId` is left out with a recipient, as KMS does.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecryptResponse {
    key_id: String,
    encryption_algorithm: &'static str,
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_for_recipient: Vec<u8>,
}

impl Operation for Decrypt {
    const NAME: &'static str = "Decrypt";
    type Response = DecryptResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const TERMS: TermNames = TermNames { algorithm: "EncryptionAlgorithm", context: "EncryptionContext" };
        let dry_run = members.flag("DryRun")?;
        Ok(Self {
            received: ReceivedCiphertext::parse(members, "KeyId", &TERMS, dry_run)?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("encryptionAlgorithm", self.received.terms.algorithm.name())
            .with_optional("keyId", self.received.key_id.as_deref())
            .with_context("encryptionContext", &self.received.terms.context)
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<DecryptResponse, OperationError> {
        let recipient = self
            .recipient
            .as_ref()
            .ok_or(OperationError::RecipientRequired { operation: Self::NAME, alternative: "" })?;
        self.grant_tokens.require_valid(broker).await?;
        let terms = &self.received.terms;
        let LocatedCiphertext { named_as, entry, ciphertext } =
            self.received.locate(Self::NAME, broker, invocation, event).await?;
        let attested = recipient.attest(broker, invocation, event)?;
        let access = Access {
            named_as: named_as.as_ref(),
            recipient: Some(&attested),
            encryption_context: &terms.context,
            encryption_algorithm: Some(terms.algorithm.name()),
            ..Access::new("kms:Decrypt", &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        let Some(ciphertext) = ciphertext else { return Err(OperationError::DryRun) };
        let data_key = terms.open(&permit, &entry.key, &ciphertext, broker).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let envelope = broker.in_stage(Stage::Envelope, || keys::seal_for_recipient(&permit, &data_key))?;
        Ok(DecryptResponse {
            key_id: entry.key.arn.to_string(),
            encryption_algorithm: terms.algorithm.name(),
            ciphertext_for_recipient: envelope.as_bytes().to_vec(),
        })
    }
}
