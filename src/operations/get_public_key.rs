use serde::Serialize;
use serde_json::Value;

use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::recipient::{Recipient, attest_if_sent};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// The public half of an asymmetric key (KMS API reference, *GetPublicKey*). Beyond KMS, `Recipient` may show the policy
/// an enclave.
pub struct GetPublicKey {
    key: ManagedKey,
    grant_tokens: GrantTokens,
    recipient: Option<Recipient>,
}

/// The answer. Of the algorithms only those of the key's usage are there.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPublicKeyResponse {
    key_id: String,
    #[serde(serialize_with = "super::members::as_base64")]
    public_key: Vec<u8>,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    key_usage: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    encryption_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signing_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key_agreement_algorithms: Vec<&'static str>,
}

impl Operation for GetPublicKey {
    const NAME: &'static str = "GetPublicKey";
    type Response = GetPublicKeyResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            key: ManagedKey::parse(members)?,
            grant_tokens: GrantTokens::parse(members)?,
            recipient: Recipient::parse(members)?,
        })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with_recipient(self.recipient.as_ref()).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GetPublicKeyResponse, OperationError> {
        self.grant_tokens.require_valid(broker).await?;
        let identifier = self.key.identify(broker, invocation)?;
        let entry = broker.usable_key(&identifier, invocation.now, event).await?;
        let attested = attest_if_sent(self.recipient.as_ref(), broker, invocation, event)?;
        let access = Access {
            named_as: Some(&identifier),
            recipient: attested.as_ref(),
            ..Access::new("kms:GetPublicKey", &entry)
        };
        broker.authorize(&access, invocation, event).await?;
        let key = &entry.key;
        let public_key = key
            .public_key
            .clone()
            .ok_or(OperationError::Unsupported("only an asymmetric KMS key has a public key"))?;
        Ok(GetPublicKeyResponse {
            key_id: key.arn.to_string(),
            public_key,
            customer_master_key_spec: key.spec.name(),
            key_spec: key.spec.name(),
            key_usage: key.usage.name(),
            encryption_algorithms: key.encryption_algorithms(),
            signing_algorithms: key.signing_algorithms(),
            key_agreement_algorithms: key.key_agreement_algorithms(),
        })
    }
}
