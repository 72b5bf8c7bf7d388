use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::{Access, Broker};
use super::encryption_algorithm::EncryptionAlgorithm;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::recipient::Recipient;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{self, CiphertextBlob, MAX_CIPHERTEXT_BLOB_LEN};

/// What a CiphertextBlob holds, encrypted to an attested enclave (KMS API reference, *Decrypt*).
pub struct Decrypt {
    ciphertext_blob: Option<Vec<u8>>,
    key_id: Option<String>,
    encryption_algorithm: EncryptionAlgorithm,
    encryption_context: EncryptionContext,
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
        let ciphertext_blob = members.blob("CiphertextBlob", 1..=MAX_CIPHERTEXT_BLOB_LEN)?;
        let dry_run = members.flag("DryRun")?;
        let ignores_ciphertext = super::members::ignores_ciphertext(members, dry_run)?;
        // Without the modifier the ciphertext must be there; with it, KMS does not look at one.
        let ciphertext_blob = match (ciphertext_blob, ignores_ciphertext) {
            (Some(blob), false) => Some(blob),
            (None, false) => return Err(members.missing("CiphertextBlob")),
            (_, true) => None,
        };
        let key_id = members.string("KeyId", 1..=2048)?.map(str::to_owned);
        if ciphertext_blob.is_none() && key_id.is_none() {
            return Err(members.missing("KeyId"));
        }
        Ok(Self {
            ciphertext_blob,
            key_id,
            encryption_algorithm: EncryptionAlgorithm::parse(members, "EncryptionAlgorithm")?,
            encryption_context: super::members::encryption_context(members, "EncryptionContext")?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("encryptionAlgorithm", self.encryption_algorithm.name())
            .with_optional("keyId", self.key_id.as_deref())
            .with_context("encryptionContext", &self.encryption_context)
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
        broker.refuse_grant_tokens(&self.grant_tokens)?;
        let blob = self.ciphertext_blob.as_deref().map(CiphertextBlob::parse).transpose()?;
        let named = match &self.key_id {
            Some(text) => Some(broker.identify(text, invocation)?),
            None => None,
        };
        let entry = broker.key_of_ciphertext(named.as_ref(), blob.as_ref(), invocation.now, event).await?;
        self.encryption_algorithm.require_of(&entry.key)?;
        let attested = recipient.attest(broker, invocation, event)?;
        let access = Access {
            named_as: named.as_ref(),
            recipient: Some(&attested),
            encryption_context: &self.encryption_context,
            encryption_algorithm: Some(self.encryption_algorithm.name()),
            ..Access::new("kms:Decrypt", &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        let Some(blob) = blob else { return Err(OperationError::DryRun) };
        let data_key = broker.open(&permit, &entry.key, &self.encryption_context, &blob).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let envelope = keys::seal_for_recipient(&permit, &data_key)?;
        Ok(DecryptResponse {
            key_id: entry.key.arn.to_string(),
            encryption_algorithm: self.encryption_algorithm.name(),
            ciphertext_for_recipient: envelope.as_bytes().to_vec(),
        })
    }
}
