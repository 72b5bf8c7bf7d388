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
use crate::keys::{self, MacAlgorithm, MacKey};
use crate::metrics::Stage;
use crate::policy::{Algorithms, Permit};
use crate::store::KeyEntry;

/// Bytes of `Message` (KMS API reference, *GenerateMac*).
const MESSAGE_LEN: std::ops::RangeInclusive<usize> = 1..=4096;

/// The HMAC of a message under a key of the broker (KMS API reference, *GenerateMac*). Beyond KMS, `Recipient` may show
/// the policy an enclave.
pub struct GenerateMac {
    request: MacRequest,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateMacResponse {
    #[serde(serialize_with = "super::members::as_base64")]
    mac: Vec<u8>,
    mac_algorithm: &'static str,
    key_id: String,
}

impl Operation for GenerateMac {
    const NAME: &'static str = "GenerateMac";
    type Response = GenerateMacResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { request: MacRequest::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GenerateMacResponse, OperationError> {
        let (entry, permit) =
            self.request.authorized("kms:GenerateMac", Self::NAME, broker, invocation, event).await?;
        let material: MacKey = broker.current_material(&permit, &entry.key).await?;
        Ok(GenerateMacResponse {
            mac: broker.in_stage(Stage::UseKey, || {
                keys::mac(&permit, &entry.key, &material, &self.request.message)
            })?,
            mac_algorithm: self.request.algorithm.name(),
            key_id: entry.key.arn.to_string(),
        })
    }
}

/// The members that GenerateMac and VerifyMac share.
pub(super) struct MacRequest {
    key_id: String,
    pub(super) message: Zeroizing<Vec<u8>>,
    pub(super) algorithm: MacAlgorithm,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
    dry_run: bool,
}

impl MacRequest {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.required_string("KeyId", 1..=2048)?.to_owned();
        let message = members.blob("Message", MESSAGE_LEN)?.map(Zeroizing::new);
        let algorithms = MacAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
        let algorithm = members.one_of("MacAlgorithm", &algorithms)?;
        Ok(Self {
            key_id,
            message: message.ok_or_else(|| members.missing("Message"))?,
            algorithm: algorithm.ok_or_else(|| members.missing("MacAlgorithm"))?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
            dry_run: members.flag("DryRun")?,
        })
    }

    /// Not the message: it may be a secret.
    pub(super) fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("keyId", &self.key_id)
            .with("macAlgorithm", self.algorithm.name())
            .with_recipient(self.recipient.as_ref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    /// The key, once it is found to make such MACs and its policy allows `action`. A dry run ends here.
    pub(super) async fn authorized(
        &self,
        action: &'static str,
        operation: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<(Arc<KeyEntry>, Permit), OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let identifier = broker.identify(&self.key_id, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        self.algorithm.require_of(&entry.key, operation)?;
        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: attested.as_ref(),
            algorithms: Algorithms { mac: Some(self.algorithm.name()), ..Algorithms::default() },
            ..Access::new(action, &entry)
        };
        let permit = broker.authorize(&access, invocation, event).await?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        Ok((entry, permit))
    }
}
