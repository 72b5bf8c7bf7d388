use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::broker::{Access, Broker};
use super::encryption_algorithm::EncryptionAlgorithm;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::recipient::{Recipient, attest_if_sent};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{self, CiphertextBlob, MAX_CIPHERTEXT_BLOB_LEN};
use crate::policy::Particulars;

/// A ciphertext opened under one key and sealed under another, or under a new context, inside the broker
/// (KMS API reference, *ReEncrypt*). Two policies are asked: `kms:ReEncryptFrom` on the source key and `kms:ReEncryptTo`
/// on the destination key. Beyond KMS, `Recipient` may show them an enclave.
pub struct ReEncrypt {
    ciphertext_blob: Option<Vec<u8>>,
    source_key_id: Option<String>,
    source: Side,
    destination_key_id: String,
    destination: Side,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

/// What a request says of one of its two keys.
struct Side {
    encryption_algorithm: EncryptionAlgorithm,
    encryption_context: EncryptionContext,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReEncryptResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_blob: Vec<u8>,
    source_key_id: String,
    key_id: String,
    source_encryption_algorithm: &'static str,
    destination_encryption_algorithm: &'static str,
    source_key_material_id: String,
    destination_key_material_id: String,
}

impl Operation for ReEncrypt {
    const NAME: &'static str = "ReEncrypt";
    type Response = ReEncryptResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let ciphertext_blob = members.blob("CiphertextBlob", 1..=MAX_CIPHERTEXT_BLOB_LEN)?;
        let dry_run = members.flag("DryRun")?;
        let ciphertext_blob = match (ciphertext_blob, super::members::ignores_ciphertext(members, dry_run)?) {
            (Some(blob), false) => Some(blob),
            (None, false) => return Err(members.missing("CiphertextBlob")),
            (_, true) => None,
        };
        let source_key_id = members.string("SourceKeyId", 1..=2048)?.map(str::to_owned);
        let source = Side {
            encryption_algorithm: EncryptionAlgorithm::parse(members, "SourceEncryptionAlgorithm")?,
            encryption_context: super::members::encryption_context(members, "SourceEncryptionContext")?,
        };
        if ciphertext_blob.is_none() && source_key_id.is_none() {
            return Err(members.missing("SourceKeyId"));
        }
        let destination_key_id = members.required_string("DestinationKeyId", 1..=2048)?.to_owned();
        let destination = Side {
            encryption_algorithm: EncryptionAlgorithm::parse(members, "DestinationEncryptionAlgorithm")?,
            encryption_context: super::members::encryption_context(members, "DestinationEncryptionContext")?,
        };
        Ok(Self {
            ciphertext_blob,
            source_key_id,
            source,
            destination_key_id,
            destination,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with_optional("sourceKeyId", self.source_key_id.as_deref())
            .with("sourceEncryptionAlgorithm", self.source.encryption_algorithm.name())
            .with_context("sourceEncryptionContext", &self.source.encryption_context)
            .with("destinationKeyId", &self.destination_key_id)
            .with("destinationEncryptionAlgorithm", self.destination.encryption_algorithm.name())
            .with_context("destinationEncryptionContext", &self.destination.encryption_context)
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ReEncryptResponse, OperationError> {
        broker.refuse_grant_tokens(&self.grant_tokens)?;
        let blob = self.ciphertext_blob.as_deref().map(CiphertextBlob::parse).transpose()?;
        let source_name = match &self.source_key_id {
            Some(text) => Some(broker.identify(text, invocation)?),
            None => None,
        };
        let source =
            broker.key_of_ciphertext(source_name.as_ref(), blob.as_ref(), invocation.now, event).await?;
        self.source.encryption_algorithm.require_of(&source.key)?;
        let destination_name = broker.identify(&self.destination_key_id, invocation)?;
        let destination = broker.usable_key(&destination_name, invocation.now, event).await?;
        self.destination.encryption_algorithm.require_of(&destination.key)?;

        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let particulars = Particulars {
            re_encrypts_on_same_key: Some(source.key.id == destination.key.id),
            ..Particulars::default()
        };
        let from = Access {
            particulars,
            named_as: source_name.as_ref(),
            recipient: attested.as_ref(),
            encryption_context: &self.source.encryption_context,
            encryption_algorithm: Some(self.source.encryption_algorithm.name()),
            ..Access::new("kms:ReEncryptFrom", &source)
        };
        let may_open = broker.authorize(&from, invocation, event).await?;
        let to = Access {
            particulars,
            named_as: Some(&destination_name),
            recipient: attested.as_ref(),
            encryption_context: &self.destination.encryption_context,
            encryption_algorithm: Some(self.destination.encryption_algorithm.name()),
            ..Access::new("kms:ReEncryptTo", &destination)
        };
        let may_seal = broker.authorize(&to, invocation, event).await?;

        let Some(blob) = blob else { return Err(OperationError::DryRun) };
        let plaintext = broker.open(&may_open, &source.key, from.encryption_context, &blob).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let material = broker.current_material(&may_seal, &destination.key).await?;
        let sealed = keys::seal(&may_seal, &destination.key, &material, to.encryption_context, &plaintext)?;
        Ok(ReEncryptResponse {
            ciphertext_blob: sealed.as_bytes().to_vec(),
            source_key_id: source.key.arn.to_string(),
            key_id: destination.key.arn.to_string(),
            source_encryption_algorithm: self.source.encryption_algorithm.name(),
            destination_encryption_algorithm: self.destination.encryption_algorithm.name(),
            source_key_material_id: blob.material_id().to_string(),
            destination_key_material_id: material.id().to_string(),
        })
    }
}
