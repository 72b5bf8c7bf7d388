use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::encryption_terms::{EncryptionTerms, TermNames};
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::received_ciphertext::{LocatedCiphertext, ReceivedCiphertext};
use super::recipient::{Recipient, attest_if_sent};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::Particulars;

/// A ciphertext opened under one key and sealed under another, or under a new context, inside the broker
/// (KMS API reference, *ReEncrypt*). Two policies are asked: `kms:ReEncryptFrom` on the source key and `kms:ReEncryptTo`
/// on the destination key. Beyond KMS, `Recipient` may show them an enclave.
pub struct ReEncrypt {
    source: ReceivedCiphertext,
    destination_key_id: String,
    destination: EncryptionTerms,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_material_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_key_material_id: Option<String>,
}

impl Operation for ReEncrypt {
    const NAME: &'static str = "ReEncrypt";
    type Response = ReEncryptResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const SOURCE: TermNames =
            TermNames { algorithm: "SourceEncryptionAlgorithm", context: "SourceEncryptionContext" };
        const DESTINATION: TermNames = TermNames {
            algorithm: "DestinationEncryptionAlgorithm",
            context: "DestinationEncryptionContext",
        };
        let dry_run = members.flag("DryRun")?;
        Ok(Self {
            source: ReceivedCiphertext::parse(members, "SourceKeyId", &SOURCE, dry_run)?,
            destination_key_id: members.required_string("DestinationKeyId", 1..=2048)?.to_owned(),
            destination: EncryptionTerms::parse(members, &DESTINATION)?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with_optional("sourceKeyId", self.source.key_id.as_deref())
            .with("sourceEncryptionAlgorithm", self.source.terms.algorithm.name())
            .with_context("sourceEncryptionContext", &self.source.terms.context)
            .with("destinationKeyId", &self.destination_key_id)
            .with("destinationEncryptionAlgorithm", self.destination.algorithm.name())
            .with_context("destinationEncryptionContext", &self.destination.context)
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
        self.grant_tokens.require_valid(broker).await?;
        let LocatedCiphertext { named_as: source_name, entry: source, ciphertext } =
            self.source.locate(Self::NAME, broker, invocation, event).await?;
        let destination_name = broker.identify(&self.destination_key_id, invocation)?;
        let destination = broker.usable_key(&destination_name, invocation.now, event).await?;
        let scheme = self.destination.scheme_of(&destination.key, Self::NAME)?;

        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let particulars = Particulars {
            re_encrypts_on_same_key: Some(source.key.id == destination.key.id),
            ..Particulars::default()
        };
        let from = Access {
            particulars,
            named_as: source_name.as_ref(),
            recipient: attested.as_ref(),
            encryption_context: &self.source.terms.context,
            encryption_algorithm: Some(self.source.terms.algorithm.name()),
            ..Access::new("kms:ReEncryptFrom", &source)
        };
        let may_open = broker.authorize(&from, invocation, event).await?;
        let to = Access {
            particulars,
            named_as: Some(&destination_name),
            recipient: attested.as_ref(),
            encryption_context: &self.destination.context,
            encryption_algorithm: Some(self.destination.algorithm.name()),
            ..Access::new("kms:ReEncryptTo", &destination)
        };
        let may_seal = broker.authorize(&to, invocation, event).await?;

        let Some(ciphertext) = ciphertext else { return Err(OperationError::DryRun) };
        let plaintext = self.source.terms.open(&may_open, &source.key, &ciphertext, broker).await?;
        self.destination.require_room(scheme, &destination.key, &plaintext)?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let moved = self.destination.seal(scheme, &may_seal, &destination.key, &plaintext, broker).await?;
        Ok(ReEncryptResponse {
            source_key_id: source.key.arn.to_string(),
            key_id: destination.key.arn.to_string(),
            source_encryption_algorithm: self.source.terms.algorithm.name(),
            destination_encryption_algorithm: self.destination.algorithm.name(),
            source_key_material_id: ciphertext.material_id().map(|id| id.to_string()),
            destination_key_material_id: moved.material_id().map(|id| id.to_string()),
            ciphertext_blob: moved.into_bytes(),
        })
    }
}
