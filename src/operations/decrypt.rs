use serde::Serialize;
use serde_json::{Value, json};

use super::broker::{Access, Broker, Recipient};
use super::error::OperationError;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{self, CiphertextBlob, KeyIdentifier, MAX_CIPHERTEXT_BLOB_LEN};

/// What a CiphertextBlob holds, encrypted to an attested enclave (KMS API reference, *Decrypt*).
pub struct Decrypt {
    ciphertext_blob: Option<Vec<u8>>,
    key_id: Option<String>,
    encryption_algorithm: EncryptionAlgorithm,
    encryption_context: EncryptionContext,
    grant_tokens: usize,
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum EncryptionAlgorithm {
    SymmetricDefault,
    /// The name of an algorithm of asymmetric keys.
    Asymmetric(&'static str),
}

impl Operation for Decrypt {
    const NAME: &'static str = "Decrypt";
    type Response = DecryptResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        use EncryptionAlgorithm::{Asymmetric, SymmetricDefault};
        const ALGORITHMS: [(&str, EncryptionAlgorithm); 4] = [
            ("SYMMETRIC_DEFAULT", SymmetricDefault),
            ("RSAES_OAEP_SHA_1", Asymmetric("RSAES_OAEP_SHA_1")),
            ("RSAES_OAEP_SHA_256", Asymmetric("RSAES_OAEP_SHA_256")),
            ("SM2PKE", Asymmetric("SM2PKE")),
        ];
        let ciphertext_blob = members.blob("CiphertextBlob", 1..=MAX_CIPHERTEXT_BLOB_LEN)?;
        let dry_run = members.flag("DryRun")?;
        let modifiers = members.strings("DryRunModifiers", 0..=usize::MAX, 0..=usize::MAX)?;
        if let Some(unknown) = modifiers.iter().find(|modifier| **modifier != "IGNORE_CIPHERTEXT") {
            let rule = "satisfy enum value set: [IGNORE_CIPHERTEXT]".to_owned();
            return Err(members.violates("DryRunModifiers.member", rule, Some(unknown)));
        }
        if !modifiers.is_empty() && !dry_run {
            return Err(MemberError::Combination("DryRunModifiers is only allowed when DryRun is true."));
        }
        // Without the modifier the ciphertext must be there; with it, KMS does not look at one.
        let ciphertext_blob = match (ciphertext_blob, modifiers.is_empty()) {
            (Some(blob), true) => Some(blob),
            (None, true) => return Err(members.missing("CiphertextBlob")),
            (_, false) => None,
        };
        let key_id = members.string("KeyId", 1..=2048)?.map(str::to_owned);
        if ciphertext_blob.is_none() && key_id.is_none() {
            return Err(members.missing("KeyId"));
        }
        Ok(Self {
            ciphertext_blob,
            key_id,
            encryption_algorithm: members
                .one_of("EncryptionAlgorithm", &ALGORITHMS)?
                .unwrap_or(SymmetricDefault),
            encryption_context: super::members::encryption_context(members)?,
            grant_tokens: super::members::grant_tokens(members)?,
            recipient: Recipient::parse(members)?,
            dry_run,
        })
    }

    fn audit_parameters(&self) -> Value {
        let mut parameters = serde_json::Map::new();
        parameters.insert("encryptionAlgorithm".to_owned(), json!(self.encryption_algorithm.name()));
        if let Some(key_id) = &self.key_id {
            parameters.insert("keyId".to_owned(), json!(key_id));
        }
        if !self.encryption_context.is_empty() {
            parameters.insert("encryptionContext".to_owned(), json!(self.encryption_context));
        }
        if let Some(recipient) = &self.recipient {
            parameters.insert("recipient".to_owned(), recipient.audit_parameters());
        }
        if self.dry_run {
            parameters.insert("dryRun".to_owned(), json!(true));
        }
        Value::Object(parameters)
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
        broker.refuse_grant_tokens(self.grant_tokens)?;
        let blob = self.ciphertext_blob.as_deref().map(CiphertextBlob::parse).transpose()?;
        let named = match &self.key_id {
            Some(text) => Some(KeyIdentifier::parse(text, broker.realm())?),
            None => None,
        };
        let entry = match (&named, &blob) {
            (Some(identifier), _) => broker.usable_key(identifier, event).await?,
            (None, Some(blob)) => broker
                .usable_key(&KeyIdentifier::Key(blob.key_id()), event)
                .await
                .map_err(|error| match error {
                    OperationError::NotFound(_) => OperationError::CiphertextOfUnknownKey,
                    error => error,
                })?,
            (None, None) => return Err(OperationError::CiphertextOfUnknownKey),
        };
        if let EncryptionAlgorithm::Asymmetric(name) = self.encryption_algorithm {
            return Err(OperationError::InvalidKeyUsage(format!(
                "{} is a symmetric encryption key and cannot be used with {name}",
                entry.key.arn
            )));
        }
        let attested = broker.attest(recipient, invocation, event)?;
        let access = Access {
            action: "kms:Decrypt",
            entry: &entry,
            named_as: named.as_ref(),
            recipient: Some(&attested),
            encryption_context: &self.encryption_context,
        };
        let permit = broker.authorize(&access, invocation, event)?;
        let Some(blob) = blob else { return Err(OperationError::DryRun) };
        if blob.key_id() != entry.key.id {
            return Err(OperationError::IncorrectKey(entry.key.arn.clone()));
        }
        let wrapped = entry.key.material(blob.material_id()).ok_or(OperationError::CiphertextOfUnknownKey)?;
        let material = broker.unwrap_material(&permit, &entry.key, wrapped).await?;
        let data_key = keys::open(&permit, &entry.key, &material, &self.encryption_context, &blob)?;
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

impl EncryptionAlgorithm {
    fn name(self) -> &'static str {
        match self {
            EncryptionAlgorithm::SymmetricDefault => "SYMMETRIC_DEFAULT",
            EncryptionAlgorithm::Asymmetric(name) => name,
        }
    }
}
