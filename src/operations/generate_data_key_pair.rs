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
use crate::crypto::KeyPairKind;
use crate::encryption_context::EncryptionContext;
use crate::keys::{
    self, CiphertextBlob, DATA_KEY_PAIR_SPECS, DataKeyPair, EncryptionAlgorithm, KeyMaterialId,
};
use crate::metrics::Stage;
use crate::policy::Permit;

/// A new key pair, its private key sealed under a key of the broker and encrypted to an attested enclave
/// (KMS API reference, *GenerateDataKeyPair*).
pub struct GenerateDataKeyPair {
    request: DataKeyPairRequest,
}

/// The answer. `KeyMaterialId` is left out with a recipient, as KMS does; `PrivateKeyPlaintext` does not exist here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    private_key_ciphertext_blob: Vec<u8>,
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_for_recipient: Vec<u8>,
    #[serde(serialize_with = "super::members::as_base64")]
    public_key: Vec<u8>,
    key_id: String,
    key_pair_spec: &'static str,
}

impl Operation for GenerateDataKeyPair {
    const NAME: &'static str = "GenerateDataKeyPair";
    type Response = GenerateDataKeyPairResponse;

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
    ) -> Result<GenerateDataKeyPairResponse, OperationError> {
        if self.request.recipient.is_none() {
            return Err(OperationError::RecipientRequired {
                operation: Self::NAME,
                alternative: ", or call GenerateDataKeyPairWithoutPlaintext",
            });
        }
        let made =
            self.request.make("kms:GenerateDataKeyPair", Self::NAME, broker, invocation, event).await?;
        let seal = || keys::seal_for_recipient(&made.permit, &made.pair.private_key);
        let envelope = broker.in_stage(Stage::Envelope, seal)?;
        Ok(GenerateDataKeyPairResponse {
            private_key_ciphertext_blob: made.blob.as_bytes().to_vec(),
            ciphertext_for_recipient: envelope.as_bytes().to_vec(),
            public_key: made.pair.public_key,
            key_id: made.key_arn,
            key_pair_spec: made.spec,
        })
    }
}

/// The members that GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext share.
pub(super) struct DataKeyPairRequest {
    key_id: String,
    spec: (&'static str, Option<KeyPairKind>),
    encryption_context: EncryptionContext,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

/// A key pair that was made under a policy's permit, its private key sealed.
pub(super) struct MadeKeyPair {
    pub(super) permit: Permit,
    pub(super) pair: DataKeyPair,
    pub(super) blob: CiphertextBlob,
    pub(super) material_id: KeyMaterialId,
    pub(super) key_arn: String,
    pub(super) spec: &'static str,
}

impl DataKeyPairRequest {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.required_string("KeyId", 1..=2048)?.to_owned();
        // What the model names and this broker does not make is understood, and refused later.
        let unmade = ["SM2", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"];
        let specs: Vec<_> = DATA_KEY_PAIR_SPECS
            .into_iter()
            .map(|(name, kind)| (name, (name, Some(kind))))
            .chain(unmade.map(|name| (name, (name, None))))
            .collect();
        let spec = members.one_of("KeyPairSpec", &specs)?;
        Ok(Self {
            key_id,
            spec: spec.ok_or_else(|| members.missing("KeyPairSpec"))?,
            encryption_context: super::members::encryption_context(members, "EncryptionContext")?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run: members.flag("DryRun")?,
        })
    }

    pub(super) fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("keyId", &self.key_id)
            .with("keyPairSpec", self.spec.0)
            .with_context("encryptionContext", &self.encryption_context)
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    /// Makes the key pair once the key's policy allows `action`.
    pub(super) async fn make(
        &self,
        action: &'static str,
        operation: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<MadeKeyPair, OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let (spec, kind) = self.spec;
        let kind =
            kind.ok_or(OperationError::Unsupported("this broker makes no SM2 and no ML-KEM key pairs"))?;
        let identifier = broker.identify(&self.key_id, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        EncryptionAlgorithm::SymmetricDefault.require_of(&entry.key, operation)?;
        let attested = super::recipient::attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: attested.as_ref(),
            encryption_context: &self.encryption_context,
            data_key_pair_spec: Some(spec),
            encryption_algorithm: Some("SYMMETRIC_DEFAULT"),
            ..Access::new(action, &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let material = broker.current_material(&permit, &entry.key).await?;
        // An RSA key takes long: other requests go on meanwhile.
        let pair = tokio::task::spawn_blocking(move || DataKeyPair::generate(kind))
            .await
            .map_err(|_| crate::crypto::CryptoError)??;
        let seal = || keys::seal(&permit, &entry.key, &material, &self.encryption_context, &pair.private_key);
        let blob = broker.in_stage(Stage::UseKey, seal)?;
        Ok(MadeKeyPair {
            permit,
            pair,
            blob,
            material_id: *material.id(),
            key_arn: entry.key.arn.to_string(),
            spec,
        })
    }
}
