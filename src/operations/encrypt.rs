use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::encryption_terms::{EncryptionTerms, TermNames};
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::recipient::{Recipient, attest_if_sent};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::DataKey;

/// Bytes of `Plaintext` at most (KMS API reference, *Encrypt*).
const MAX_PLAINTEXT_LEN: usize = 4096;

/// The caller's own plaintext, sealed under a key of the broker (KMS API reference, *Encrypt*). Beyond KMS, `Recipient`
/// may show the policy an enclave.
pub struct Encrypt {
    key_id: String,
    plaintext: Zeroizing<Vec<u8>>,
    terms: EncryptionTerms,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_blob: Vec<u8>,
    encryption_algorithm: &'static str,
    key_id: String,
}

impl Operation for Encrypt {
    const NAME: &'static str = "Encrypt";
    type Response = EncryptResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const TERMS: TermNames = TermNames { algorithm: "EncryptionAlgorithm", context: "EncryptionContext" };
        let plaintext = members.blob("Plaintext", 1..=MAX_PLAINTEXT_LEN)?.map(Zeroizing::new);
        Ok(Self {
            key_id: members.required_string("KeyId", 1..=2048)?.to_owned(),
            plaintext: plaintext.ok_or_else(|| members.missing("Plaintext"))?,
            terms: EncryptionTerms::parse(members, &TERMS)?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run: members.flag("DryRun")?,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("keyId", &self.key_id)
            .with("encryptionAlgorithm", self.terms.algorithm.name())
            .with_context("encryptionContext", &self.terms.context)
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<EncryptResponse, OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let identifier = broker.identify(&self.key_id, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        let scheme = self.terms.scheme_of(&entry.key, Self::NAME)?;
        let plaintext = DataKey::from_plaintext(self.plaintext.clone());
        self.terms.require_room(scheme, &entry.key, &plaintext)?;
        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: attested.as_ref(),
            encryption_context: &self.terms.context,
            encryption_algorithm: Some(self.terms.algorithm.name()),
            ..Access::new("kms:Encrypt", &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let ciphertext = self.terms.seal(scheme, &permit, &entry.key, &plaintext, broker).await?;
        Ok(EncryptResponse {
            ciphertext_blob: ciphertext.into_bytes(),
            encryption_algorithm: self.terms.algorithm.name(),
            key_id: entry.key.arn.to_string(),
        })
    }
}
