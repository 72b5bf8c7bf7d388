//! What policies are asked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::arn;
use super::caller::Caller;
use super::condition_key::ConditionKey;
use super::evaluate::{ContextValue, ContextValues, RequestContext};
use super::grant::GrantTerms;
use super::inquiry::{Inquiry, Premises};
use super::particulars::{Particulars, optional_flag, optional_text};
use crate::attestation::AttestedRecipient;
use crate::encryption_context::EncryptionContext;
use crate::time::UnixTime;

/// What policies are asked: everything that their conditions may look at.
pub struct Question<'q> {
    /// Who asks.
    pub caller: &'q Caller,
    /// For what, such as `kms:Decrypt`.
    pub action: &'static str,
    /// The ARN of the key or alias, or `*` for what is about none.
    pub resource: &'q str,
    /// The account that it belongs to, twelve digits.
    pub resource_account: &'q str,
    /// The alias names of the key, `alias/…`.
    pub resource_aliases: &'q [String],
    /// The alias that the request named the key by.
    pub request_alias: Option<&'q str>,
    /// The verified enclave that would receive the answer.
    pub recipient: Option<&'q AttestedRecipient>,
    /// The request's encryption context.
    pub encryption_context: &'q EncryptionContext,
    /// The key's spec, such as `SYMMETRIC_DEFAULT`, of the key that is there or is to be made.
    pub key_spec: Option<&'static str>,
    /// The key's usage, such as `ENCRYPT_DECRYPT`.
    pub key_usage: Option<&'static str>,
    /// Where the key's material comes from, such as `AWS_KMS`.
    pub key_origin: Option<&'static str>,
    /// The key's tags.
    pub tags: &'q BTreeMap<String, String>,
    /// What only some requests say.
    pub particulars: Particulars<'q>,
    /// What the request encrypts or decrypts with.
    pub encryption_algorithm: Option<&'static str>,
    /// The spec of the data key pair that is asked for.
    pub data_key_pair_spec: Option<&'q str>,
    /// The grant that CreateGrant is to make.
    pub new_grant: Option<&'q GrantTerms>,
    /// What the request does with a key for something else than encryption.
    pub algorithms: Algorithms,
    /// Where the request came from, on a transport that has addresses.
    pub source_ip: Option<IpAddr>,
    /// Whether the transport was TLS.
    pub secure_transport: bool,
    /// What the request says of its sender.
    pub user_agent: Option<&'q str>,
    /// The broker's region.
    pub region: &'q str,
    /// The time of the decision.
    pub now: UnixTime,
}

/// What a request does with a key for something else than encryption, by its names in the service model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// Such as `ECDSA_SHA_256`.
    pub signing: Option<&'static str>,
    /// Whether what is signed is hashed yet: `RAW`, `DIGEST`.
    pub message_type: Option<&'static str>,
    /// Such as `HMAC_SHA_256`.
    pub mac: Option<&'static str>,
    /// `ECDH`.
    pub key_agreement: Option<&'static str>,
}

impl<'q> Question<'q> {
    /// The least that there is to ask: about a symmetric encryption key, without evidence, context or names.
    pub fn new(caller: &'q Caller, action: &'static str, resource: &'q str, now: UnixTime) -> Self {
        static NO_CONTEXT: EncryptionContext = EncryptionContext::EMPTY;
        static NO_TAGS: BTreeMap<String, String> = BTreeMap::new();
        Self {
            caller,
            action,
            resource,
            resource_account: arn::segments(resource)
                .map(|[_, _, _, _, account, _]| account)
                .or(caller.account())
                .unwrap_or_default(),
            key_spec: Some("SYMMETRIC_DEFAULT"),
            key_usage: Some("ENCRYPT_DECRYPT"),
            key_origin: Some("AWS_KMS"),
            tags: &NO_TAGS,
            particulars: Particulars::default(),
            resource_aliases: &[],
            request_alias: None,
            recipient: None,
            encryption_context: &NO_CONTEXT,
            encryption_algorithm: None,
            data_key_pair_spec: None,
            new_grant: None,
            algorithms: Algorithms::default(),
            source_ip: None,
            secure_transport: false,
            user_agent: None,
            region: "us-east-1",
            now,
        }
    }

    /// The same without the evidence's power: what is judged.
    pub fn inquiry(&self) -> Inquiry<'_> {
        let Self { caller, action, resource, resource_account, encryption_context, new_grant, .. } = *self;
        Inquiry { caller, action, resource, resource_account, encryption_context, new_grant, context: self }
    }

    fn premises(&self) -> Premises<'_> {
        let Self { action, resource_account, encryption_context, new_grant, now, .. } = *self;
        Premises { action, resource_account, encryption_context, new_grant, now }
    }

    fn pcr(&self, index: u8) -> ContextValues<'_> {
        match self.recipient.and_then(|recipient| recipient.evidence().pcrs().get(index)) {
            Some(pcr) => ContextValues::One(ContextValue::Text(pcr.to_hex().into())),
            None => ContextValues::Absent,
        }
    }
}

impl RequestContext for Question<'_> {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        if let Some(values) = self.premises().values(key) {
            return values;
        }
        match key {
            ConditionKey::RecipientAttestationImageSha384 => self.pcr(0),
            ConditionKey::RecipientAttestationPcr(index) => self.pcr(*index),
            ConditionKey::KeySpec | ConditionKey::CustomerMasterKeySpec => optional_text(self.key_spec),
            ConditionKey::KeyUsage | ConditionKey::CustomerMasterKeyUsage => optional_text(self.key_usage),
            ConditionKey::KeyOrigin => optional_text(self.key_origin),
            // Every key here is in one Region.
            ConditionKey::MultiRegion => optional_flag(self.key_spec.map(|_| false)),
            ConditionKey::ResourceTag(tag) => optional_text(self.tags.get(&**tag).map(String::as_str)),
            ConditionKey::EncryptionAlgorithm => optional_text(self.encryption_algorithm),
            ConditionKey::SigningAlgorithm => optional_text(self.algorithms.signing),
            ConditionKey::MessageType => optional_text(self.algorithms.message_type),
            ConditionKey::MacAlgorithm => optional_text(self.algorithms.mac),
            ConditionKey::KeyAgreementAlgorithm => optional_text(self.algorithms.key_agreement),
            ConditionKey::DataKeyPairSpec => optional_text(self.data_key_pair_spec),
            ConditionKey::RequestAlias => optional_text(self.request_alias),
            ConditionKey::ResourceAliases => {
                ContextValues::texts(self.resource_aliases.iter().map(String::as_str))
            }
            ConditionKey::SourceIp => match self.source_ip {
                Some(address) => ContextValues::One(ContextValue::Address(address)),
                None => ContextValues::Absent,
            },
            ConditionKey::SecureTransport => ContextValues::One(ContextValue::Flag(self.secure_transport)),
            ConditionKey::UserAgent => optional_text(self.user_agent),
            ConditionKey::RequestedRegion => ContextValues::text(self.region),
            ConditionKey::BypassPolicyLockoutSafetyCheck
            | ConditionKey::RotationPeriodInDays
            | ConditionKey::ScheduleKeyDeletionPendingWindowInDays
            | ConditionKey::ReEncryptOnSameKey
            | ConditionKey::ExpirationModel
            | ConditionKey::ValidTo
            | ConditionKey::WrappingAlgorithm
            | ConditionKey::WrappingKeySpec
            | ConditionKey::RequestTag(_)
            | ConditionKey::TagKeys => self.particulars.values(key),
            // What follows from the premises, and what the evaluation itself knows and never asks for here.
            ConditionKey::EncryptionContext(_)
            | ConditionKey::EncryptionContextKeys
            | ConditionKey::GrantOperations
            | ConditionKey::GranteePrincipal
            | ConditionKey::RetiringPrincipal
            | ConditionKey::GrantConstraintType
            | ConditionKey::GrantIsForAwsResource
            | ConditionKey::CurrentTime
            | ConditionKey::EpochTime
            | ConditionKey::ResourceAccount
            | ConditionKey::PrincipalArn
            | ConditionKey::CallerAccount
            | ConditionKey::PrincipalAccount
            | ConditionKey::PrincipalType
            | ConditionKey::Username
            | ConditionKey::PrincipalIsAwsService
            | ConditionKey::ViaAwsService
            | ConditionKey::PrincipalTag(_)
            | ConditionKey::NeverPresent(_) => ContextValues::Absent,
        }
    }
}
