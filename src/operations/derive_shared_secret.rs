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
use crate::keys::{self, AgreementKey, KeyAgreementAlgorithm, PeerKey};
use crate::metrics::Stage;
use crate::policy::Algorithms;

/// Bytes of `PublicKey` (KMS API reference, *DeriveSharedSecret*).
const PUBLIC_KEY_LEN: std::ops::RangeInclusive<usize> = 1..=8192;

/// The secret that a key of the broker shares with a peer's, encrypted to an attested enclave (KMS API reference,
/// *DeriveSharedSecret*).
pub struct DeriveSharedSecret {
    key_id: String,
    algorithm: KeyAgreementAlgorithm,
    public_key: Vec<u8>,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

/// The answer. `SharedSecret` does not exist here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeriveSharedSecretResponse {
    key_id: String,
    #[serde(serialize_with = "super::members::as_base64")]
    ciphertext_for_recipient: Vec<u8>,
    key_agreement_algorithm: &'static str,
    key_origin: &'static str,
}

impl Operation for DeriveSharedSecret {
    const NAME: &'static str = "DeriveSharedSecret";
    type Response = DeriveSharedSecretResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.required_string("KeyId", 1..=2048)?.to_owned();
        let algorithms = KeyAgreementAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
        let algorithm = members.one_of("KeyAgreementAlgorithm", &algorithms)?;
        let public_key = members.blob("PublicKey", PUBLIC_KEY_LEN)?;
        Ok(Self {
            key_id,
            algorithm: algorithm.ok_or_else(|| members.missing("KeyAgreementAlgorithm"))?,
            public_key: public_key.ok_or_else(|| members.missing("PublicKey"))?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run: members.flag("DryRun")?,
        })
    }

    fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("keyId", &self.key_id)
            .with("keyAgreementAlgorithm", self.algorithm.name())
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<DeriveSharedSecretResponse, OperationError> {
        let recipient = self
            .recipient
            .as_ref()
            .ok_or(OperationError::RecipientRequired { operation: Self::NAME, alternative: "" })?;
        self.grant_tokens.require_valid(broker).await?;
        let identifier = broker.identify(&self.key_id, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        let curve = self.algorithm.require_of(&entry.key, Self::NAME)?;
        let peer = PeerKey::parse(curve, &self.public_key)?;
        let attested = recipient.attest(broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: Some(&attested),
            algorithms: Algorithms { key_agreement: Some(self.algorithm.name()), ..Algorithms::default() },
            ..Access::new("kms:DeriveSharedSecret", &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let material: AgreementKey = broker.current_material(&permit, &entry.key).await?;
        let secret = broker
            .in_stage(Stage::UseKey, || keys::derive_shared_secret(&permit, &entry.key, &material, peer))?;
        let envelope = broker.in_stage(Stage::Envelope, || keys::seal_for_recipient(&permit, &secret))?;
        Ok(DeriveSharedSecretResponse {
            key_id: entry.key.arn.to_string(),
            ciphertext_for_recipient: envelope.as_bytes().to_vec(),
            key_agreement_algorithm: self.algorithm.name(),
            key_origin: entry.key.origin.name(),
        })
    }
}
