use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::recipient::Recipient;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{self, DataKey, EncryptionAlgorithm, KeyIdentifier, MAX_DATA_KEY_LEN};
use crate::metrics::Stage;
use crate::store::KeyEntry;

/// A new data key, sealed under a key of the broker and encrypted to an attested enclave
/// (KMS API reference, *GenerateDataKey*).
pub struct GenerateDataKey {
    request: DataKeyRequest,
    recipient: Option<Recipient>,
}

/// The answer. `KeyMaterialId` is left out with a recipient, as KMS does; `Plaintext` does not exist here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_blob: Vec<u8>,
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_for_recipient: Vec<u8>,
    key_id: String,
}

impl Operation for GenerateDataKey {
    const NAME: &'static str = "GenerateDataKey";
    type Response = GenerateDataKeyResponse;

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
    ) -> Result<GenerateDataKeyResponse, OperationError> {
        let recipient = self.recipient.as_ref().ok_or(OperationError::RecipientRequired {
            operation: Self::NAME,
            alternative: ", or use GenerateDataKeyWithoutPlaintext",
        })?;
        let (identifier, entry) = self.request.key(Self::NAME, broker, invocation, event).await?;
        let attested = recipient.attest(broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: Some(&attested),
            encryption_context: &self.request.encryption_context,
            encryption_algorithm: Some("SYMMETRIC_DEFAULT"),
            ..Access::new("kms:GenerateDataKey", &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        self.request.end_dry_run()?;
        let material = broker.current_material(&permit, &entry.key).await?;
        let data_key = DataKey::generate(self.request.length)?;
        let context = &self.request.encryption_context;
        let seal = || keys::seal(&permit, &entry.key, &material, context, &data_key);
        let blob = broker.in_stage(Stage::UseKey, seal)?;
        let envelope = broker.in_stage(Stage::Envelope, || keys::seal_for_recipient(&permit, &data_key))?;
        Ok(GenerateDataKeyResponse {
            ciphertext_blob: blob.as_bytes().to_vec(),
            ciphertext_for_recipient: envelope.as_bytes().to_vec(),
            key_id: entry.key.arn.to_string(),
        })
    }
}

/// The members that GenerateDataKey and GenerateDataKeyWithoutPlaintext share.
pub(super) struct DataKeyRequest {
    key_id: String,
    size: Size,
    /// Bytes of the data key.
    pub(super) length: usize,
    pub(super) encryption_context: EncryptionContext,
    grant_tokens: GrantTokens,
    dry_run: bool,
}

#[derive(Clone, Copy)]
enum Size {
    Spec(&'static str),
    Bytes,
}

impl DataKeyRequest {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.required_string("KeyId", 1..=2048)?.to_owned();
        let spec =
            members.one_of("KeySpec", &[("AES_256", ("AES_256", 32)), ("AES_128", ("AES_128", 16))])?;
        let bytes = members.integer("NumberOfBytes", 1..=MAX_DATA_KEY_LEN as i64)?;
        let (size, length) = match (spec, bytes) {
            (Some((name, length)), None) => (Size::Spec(name), length),
            (None, Some(bytes)) => (Size::Bytes, usize::try_from(bytes).unwrap_or(0)),
            _ => return Err(MemberError::Combination("Please specify either number of bytes or key spec.")),
        };
        Ok(Self {
            key_id,
            size,
            length,
            encryption_context: super::members::encryption_context(members, "EncryptionContext")?,
            grant_tokens: GrantTokens::parse(members)?,
            dry_run: members.flag("DryRun")?,
        })
    }

    pub(super) fn audit_parameters(&self, recipient: Option<&Recipient>) -> Value {
        let parameters = AuditParameters::new().with("keyId", &self.key_id);
        match self.size {
            Size::Spec(name) => parameters.with("keySpec", name),
            Size::Bytes => parameters.with("numberOfBytes", self.length),
        }
        .with_context("encryptionContext", &self.encryption_context)
        .with_recipient(recipient)
        .with_dry_run(self.dry_run)
        .into_value()
    }

    /// The key that is named, in a state that allows its use, and fit for what `operation` does.
    pub(super) async fn key(
        &self,
        operation: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<(KeyIdentifier, std::sync::Arc<KeyEntry>), OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let identifier = broker.identify(&self.key_id, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        EncryptionAlgorithm::SymmetricDefault.require_of(&entry.key, operation)?;
        Ok((identifier, entry))
    }

    /// A dry run ends here, in an error (KMS developer guide, *Testing your permissions*).
    pub(super) fn end_dry_run(&self) -> Result<(), OperationError> {
        if self.dry_run { Err(OperationError::DryRun) } else { Ok(()) }
    }
}
