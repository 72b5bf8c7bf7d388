use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::audit_parameters::AuditParameters;
use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};
use super::recipient::{Recipient, attest_if_sent};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::crypto::{KeyPairKind, SignatureScheme, SignedMessage};
use crate::keys::{self, Key, KeySpec, SigningAlgorithm, SigningKey};
use crate::metrics::Stage;
use crate::policy::{Algorithms, Permit};
use crate::store::KeyEntry;

/// Bytes of `Message` (KMS API reference, *Sign*).
const MESSAGE_LEN: std::ops::RangeInclusive<usize> = 1..=4096;

/// A signature by a key of the broker (KMS API reference, *Sign*). Beyond KMS, `Recipient` may show the policy an
/// enclave.
pub struct Sign {
    request: SigningRequest,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignResponse {
    key_id: String,
    #[serde(serialize_with = "super::members::as_base64")]
    signature: Vec<u8>,
    signing_algorithm: &'static str,
}

impl Operation for Sign {
    const NAME: &'static str = "Sign";
    type Response = SignResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { request: SigningRequest::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<SignResponse, OperationError> {
        let Authorized { entry, permit, scheme } =
            self.request.authorized("kms:Sign", Self::NAME, broker, invocation, event).await?;
        let material: SigningKey = broker.current_material(&permit, &entry.key).await?;
        Ok(SignResponse {
            key_id: entry.key.arn.to_string(),
            signature: broker.in_stage(Stage::UseKey, || {
                keys::sign(&permit, &entry.key, &material, scheme, self.request.message())
            })?,
            signing_algorithm: self.request.algorithm.name(),
        })
    }
}

/// The members that Sign and Verify share.
pub(super) struct SigningRequest {
    key_id: String,
    message: Zeroizing<Vec<u8>>,
    message_type: MessageType,
    pub(super) algorithm: SigningAlgorithm,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

/// What a policy allowed.
pub(super) struct Authorized {
    pub(super) entry: Arc<KeyEntry>,
    pub(super) permit: Permit,
    pub(super) scheme: SignatureScheme,
}

/// What `Message` holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MessageType {
    Raw,
    Digest,
    /// The representative that ML-DSA signs.
    ExternalMu,
}

impl SigningRequest {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.required_string("KeyId", 1..=2048)?.to_owned();
        let message = members.blob("Message", MESSAGE_LEN)?.map(Zeroizing::new);
        let types = [MessageType::Raw, MessageType::Digest, MessageType::ExternalMu];
        let message_type = members.one_of("MessageType", &types.map(|one| (one.name(), one)))?;
        let algorithms = SigningAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
        let algorithm = members.one_of("SigningAlgorithm", &algorithms)?;
        Ok(Self {
            key_id,
            message: message.ok_or_else(|| members.missing("Message"))?,
            message_type: message_type.unwrap_or(MessageType::Raw),
            algorithm: algorithm.ok_or_else(|| members.missing("SigningAlgorithm"))?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run: members.flag("DryRun")?,
        })
    }

    /// Not the message: it may be a secret.
    pub(super) fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("keyId", &self.key_id)
            .with("messageType", self.message_type.name())
            .with("signingAlgorithm", self.algorithm.name())
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    /// The key, once it is found to sign like this and its policy allows `action`. A dry run ends here.
    pub(super) async fn authorized(
        &self,
        action: &'static str,
        operation: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Authorized, OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let identifier = broker.identify(&self.key_id, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        let scheme = self.scheme(&entry.key, operation)?;
        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: attested.as_ref(),
            algorithms: Algorithms {
                signing: Some(self.algorithm.name()),
                message_type: Some(self.message_type.name()),
                ..Algorithms::default()
            },
            ..Access::new(action, &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        Ok(Authorized { entry, permit, scheme })
    }

    /// What is signed.
    pub(super) fn message(&self) -> SignedMessage<'_> {
        match self.message_type {
            MessageType::Raw | MessageType::ExternalMu => SignedMessage::Raw(&self.message),
            MessageType::Digest => SignedMessage::Digest(&self.message),
        }
    }

    /// How the key signs the message, if it does.
    fn scheme(&self, key: &Key, operation: &'static str) -> Result<SignatureScheme, OperationError> {
        let algorithm = self.algorithm.name();
        if self.algorithm == SigningAlgorithm::Ed25519PhSha512
            && key.spec == KeySpec::KeyPair(KeyPairKind::Ed25519)
        {
            return Err(OperationError::Unsupported("this broker does not sign with ED25519_PH_SHA_512"));
        }
        let scheme = self.algorithm.require_of(key, operation)?;
        match (self.message_type, scheme.digest_len()) {
            (MessageType::Raw, _) => Ok(scheme),
            (MessageType::Digest, Some(len)) if len == self.message.len() => Ok(scheme),
            (MessageType::Digest, Some(_)) => Err(OperationError::InvalidParameter(format!(
                "Digest is invalid length for algorithm {algorithm}."
            ))),
            (MessageType::Digest, None) | (MessageType::ExternalMu, _) => {
                let message_type = self.message_type.name();
                Err(OperationError::InvalidParameter(format!(
                    "Message type {message_type} is incompatible with algorithm {algorithm}."
                )))
            }
        }
    }
}

impl MessageType {
    const fn name(self) -> &'static str {
        match self {
            Self::Raw => "RAW",
            Self::Digest => "DIGEST",
            Self::ExternalMu => "EXTERNAL_MU",
        }
    }
}
