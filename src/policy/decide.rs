//! The decision: key policy, identity policies and grants asked about one request with all its evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::arn;
use super::attached::{
    AttachedPolicy, AttachedStatement, IdentityJudgement, judge_attached, reasons_of_attached,
};
use super::caller::{Caller, PrincipalArn};
use super::condition_key::ConditionKey;
use super::document::KeyPolicy;
use super::evaluate::{
    ContextValue, ContextValues, EvaluationError, Judgement, PolicyRequest, RequestContext, StatementRef,
    judge, reasons,
};
use super::grant::{Grant, GrantConstraint, GrantId, GrantOperation, GrantReason, GrantTerms, RetiredAs};
use super::particulars::{Particulars, optional_flag, optional_text};
use crate::attestation::{AttestedRecipient, RecipientKey};
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

/// Grants that do not allow a request, named in its denial at most.
const MAX_GRANT_REASONS: usize = 16;

/// Proof that the policies or a grant allowed one action on one key, and to whom the answer may go.
///
/// Only [`decide`] makes one, and key material cannot be used without.
#[derive(Debug)]
pub struct Permit {
    resource: String,
    allowed_by: AllowedBy,
    recipient: Option<RecipientKey>,
}

/// What allowed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedBy {
    /// A statement of the key's policy that names the caller.
    Statement(StatementRef),
    /// A statement of the key's policy, for the caller or its account, and one of the caller's policies with it.
    Both {
        /// Of the key's policy.
        key: StatementRef,
        /// Of the caller's policies.
        identity: AttachedStatement,
    },
    /// A grant, where the policies neither allowed nor denied.
    Grant(GrantId),
}

/// The policies' no. Its [`Display`](fmt::Display) is what the caller may read; the reasons are for log and audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    caller: Caller,
    action: &'static str,
    resource: String,
    refusal: Refusal,
    reasons: Vec<String>,
}

/// What kind of no it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A statement denies.
    ExplicitDeny(Side),
    /// No statement allows, and no grant.
    NotAllowed(Side),
    /// The question could not be answered.
    Failed(Side),
    /// The action is not open to callers of another account, whatever policies say.
    AnotherAccount,
}

/// The two sides whose word is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The key's policy.
    Resource,
    /// The caller's policies.
    Identity,
}

/// Everything that may speak for or against a request.
#[derive(Clone, Copy)]
pub struct Policies<'p> {
    /// The key's own.
    pub key: &'p KeyPolicy,
    /// Those attached to the caller.
    pub identity: &'p [AttachedPolicy],
    /// Grants that may name the caller. What does not fit the question is passed over.
    pub grants: &'p [Arc<Grant>],
}

/// What callers of another account may do to a key by its ARN, when both sides allow it (KMS developer guide, *Allowing
/// users in other accounts to use a KMS key*, and *Cross-account use* of each operation in the API reference).
const ACROSS_ACCOUNTS: [&str; 22] = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeriveSharedSecret",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateMac",
    "kms:GenerateRandom",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListRetirableGrants",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:Sign",
    "kms:Verify",
    "kms:VerifyMac",
];

/// Asks `policies` about one request, as IAM does for KMS: a deny on either side is final. A key policy that names the
/// caller is enough within an account; one that names the account leaves the question to the caller's own policies; and a
/// caller of another account needs the word of both. An account's root needs no policies of its own. Where the policies
/// neither allow nor deny, a grant may allow, to callers of any account.
///
/// # Errors
/// The denial, when a side that is asked does not allow and no grant does, one denies, or the evaluation fails.
pub fn decide(policies: &Policies<'_>, question: &Question<'_>) -> Result<Permit, Box<Denial>> {
    let permit = |allowed_by| Permit {
        resource: question.resource.to_owned(),
        allowed_by,
        recipient: question.recipient.map(|recipient| recipient.key().clone()),
    };
    question.refuse_another_account()?;
    let by_key = question.judge_key(policies.key)?;
    let by_identity = question.judge_identity(policies.identity)?;
    let left_by = match (by_key, by_identity) {
        (KeyJudgement::Allowed(statement), _) if !question.needs_both_sides() => {
            return Ok(permit(AllowedBy::Statement(statement)));
        }
        (KeyJudgement::Allowed(key) | KeyJudgement::LeftToIdentityPolicies(key), Some(identity)) => {
            return Ok(permit(AllowedBy::Both { key, identity }));
        }
        (KeyJudgement::Allowed(key) | KeyJudgement::LeftToIdentityPolicies(key), None) => Some(key),
        (KeyJudgement::Silent, _) => None,
    };
    match policies.grants.iter().find(|grant| grant.allows(question)) {
        Some(grant) => Ok(permit(AllowedBy::Grant(grant.id))),
        None => Err(question.refusal(left_by.as_ref(), policies)),
    }
}

/// Whether the caller may retire `grant`, and as what. That the key's policy allows `kms:RetireGrant` makes no difference, as
/// in KMS; that an identity policy does lets the caller act for its account. What either denies is refused.
///
/// # Errors
/// The denial, when the grant names the caller for nothing that ends it, a statement denies, or the evaluation fails.
pub fn decide_retirement(
    policies: &Policies<'_>,
    question: &Question<'_>,
    grant: &Grant,
) -> Result<RetiredAs, Box<Denial>> {
    question.judge_key(policies.key)?;
    let is_delegated = question.judge_identity(policies.identity)?.is_some();
    grant.retired_as(question.caller, is_delegated).ok_or_else(|| {
        let reason = GrantReason {
            grant: grant.id,
            element: "RetiringPrincipal",
            expected: "the retiring principal, the grantee where it may, or the issuing account".to_owned(),
            actual: question.caller.to_string(),
        };
        question.denial(Refusal::NotAllowed(Side::Resource), vec![reason.to_string()])
    })
}

/// Asks the caller's policies alone, about what no key policy speaks of. The account's root needs none.
///
/// # Errors
/// The denial, also for every caller of another account.
pub fn decide_by_identity(
    identity: &[AttachedPolicy],
    question: &Question<'_>,
) -> Result<Option<AttachedStatement>, Box<Denial>> {
    if question.is_from_another_account() {
        return Err(question.denial(Refusal::AnotherAccount, Vec::new()));
    }
    match question.judge_identity(identity)? {
        None if question.is_from_a_root() => Ok(None),
        None => {
            let reasons = reasons_of_attached(identity, &question.request());
            Err(question.denial(Refusal::NotAllowed(Side::Identity), reasons))
        }
        allowed_by => Ok(allowed_by),
    }
}

/// Asks the caller's policies only whether they deny, where something else has allowed already.
///
/// # Errors
/// The denial.
pub fn decide_unless_denied(identity: &[AttachedPolicy], question: &Question<'_>) -> Result<(), Box<Denial>> {
    question.judge_identity(identity).map(drop)
}

/// What a key's policy says, when it does not deny.
enum KeyJudgement {
    /// It names the caller.
    Allowed(StatementRef),
    /// It names the caller's account.
    LeftToIdentityPolicies(StatementRef),
    Silent,
}

impl Permit {
    /// The key that it was given for, as an ARN.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// What allowed.
    pub fn allowed_by(&self) -> &AllowedBy {
        &self.allowed_by
    }

    /// The attested key that the policy saw, to which the answer may be encrypted.
    pub fn recipient(&self) -> Option<&RecipientKey> {
        self.recipient.as_ref()
    }
}

impl Denial {
    /// Whether a grant could still allow it: no statement denies, and it is something that a grant can allow.
    pub fn leaves_room_for_a_grant(&self) -> bool {
        matches!(self.refusal, Refusal::NotAllowed(_)) && GrantOperation::of_action(self.action).is_some()
    }

    /// What kind of no it is.
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// For each statement and grant why it did not allow, or which one denied. It shows what the policies ask for: not for the
    /// caller.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl std::error::Error for Denial {}

/// The words of KMS.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, action, resource, refusal, reasons: _ } = self;
        write!(f, "User: {caller} is not authorized to perform: {action} on resource: {resource} ")?;
        match refusal {
            Refusal::ExplicitDeny(Side::Resource) => {
                f.write_str("with an explicit deny in a resource-based policy")
            }
            Refusal::ExplicitDeny(Side::Identity) => {
                f.write_str("with an explicit deny in an identity-based policy")
            }
            Refusal::NotAllowed(Side::Resource) | Refusal::Failed(Side::Resource) => {
                write!(f, "because no resource-based policy allows the {action} action")
            }
            Refusal::NotAllowed(Side::Identity) | Refusal::Failed(Side::Identity) => {
                write!(f, "because no identity-based policy allows the {action} action")
            }
            Refusal::AnotherAccount => {
                write!(f, "because the {action} action is not open to callers of another account")
            }
        }
    }
}

fn denies(statement: &impl fmt::Display) -> String {
    format!("{statement} denies")
}

impl RequestContext for Question<'_> {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        match key {
            ConditionKey::RecipientAttestationImageSha384 => self.pcr(0),
            ConditionKey::RecipientAttestationPcr(index) => self.pcr(*index),
            ConditionKey::EncryptionContext(name) => optional_text(self.encryption_context.get(name)),
            ConditionKey::EncryptionContextKeys => ContextValues::texts(self.encryption_context.keys()),
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
            ConditionKey::GrantOperations => self
                .new_grant
                .map_or(ContextValues::Absent, |grant| ContextValues::texts(grant.operations.names())),
            ConditionKey::GranteePrincipal => {
                optional_text(self.new_grant.map(|grant| grant.grantee.as_str()))
            }
            ConditionKey::RetiringPrincipal => optional_text(
                self.new_grant.and_then(|grant| grant.retiring.as_ref()).map(PrincipalArn::as_str),
            ),
            ConditionKey::GrantConstraintType => optional_text(
                self.new_grant.and_then(|grant| grant.constraint.as_ref()).map(GrantConstraint::name),
            ),
            // Never for a service: there is none here.
            ConditionKey::GrantIsForAwsResource => match self.action {
                "kms:CreateGrant" | "kms:ListGrants" | "kms:RevokeGrant" => {
                    ContextValues::One(ContextValue::Flag(false))
                }
                _ => ContextValues::Absent,
            },
            ConditionKey::CurrentTime => ContextValues::One(ContextValue::Time(self.now)),
            ConditionKey::SourceIp => match self.source_ip {
                Some(address) => ContextValues::One(ContextValue::Address(address)),
                None => ContextValues::Absent,
            },
            ConditionKey::SecureTransport => ContextValues::One(ContextValue::Flag(self.secure_transport)),
            ConditionKey::EpochTime => {
                let secs = i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX);
                ContextValues::One(ContextValue::Number(secs))
            }
            ConditionKey::UserAgent => optional_text(self.user_agent),
            ConditionKey::RequestedRegion => ContextValues::text(self.region),
            ConditionKey::ResourceAccount => ContextValues::text(self.resource_account),
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
            // The evaluation itself knows these, and never asks for them here.
            ConditionKey::PrincipalArn
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

    fn request(&self) -> PolicyRequest<'_> {
        let Self { caller, action, resource, .. } = *self;
        PolicyRequest { caller, action, resource, context: self }
    }

    /// What the key's policy says, unless it denies.
    fn judge_key(&self, policy: &KeyPolicy) -> Result<KeyJudgement, Box<Denial>> {
        match judge(&policy.statements, &self.request()) {
            Ok(Judgement::Allowed(statement)) => Ok(KeyJudgement::Allowed(statement)),
            Ok(Judgement::LeftToIdentityPolicies(statement)) => {
                Ok(KeyJudgement::LeftToIdentityPolicies(statement))
            }
            Ok(Judgement::Silent) => Ok(KeyJudgement::Silent),
            Ok(Judgement::Denied(statement)) => {
                Err(self.denial(Refusal::ExplicitDeny(Side::Resource), vec![denies(&statement)]))
            }
            Err(error) => Err(self.failure(Side::Resource, &error)),
        }
    }

    /// The denial of what neither the policies nor a grant allow; `left_by` is the statement of the key's policy that leaves
    /// it to identity policies.
    fn refusal(&self, left_by: Option<&StatementRef>, policies: &Policies<'_>) -> Box<Denial> {
        let request = self.request();
        let (side, mut words) = match left_by {
            Some(statement) => {
                let mut words = reasons_of_attached(policies.identity, &request);
                words.insert(0, format!("the key policy's {statement} leaves it to identity policies"));
                (Side::Identity, words)
            }
            None => match reasons(&policies.key.statements, &request) {
                Ok(reasons) => (Side::Resource, reasons.iter().map(ToString::to_string).collect()),
                Err(error) => return self.failure(Side::Resource, &error),
            },
        };
        let grants = policies.grants.iter().take(MAX_GRANT_REASONS);
        words.extend(grants.filter_map(|grant| grant.reason(self)).map(|reason| reason.to_string()));
        self.denial(Refusal::NotAllowed(side), words)
    }

    /// The statement of the caller's policies that allows, if one does and none denies.
    fn judge_identity(&self, identity: &[AttachedPolicy]) -> Result<Option<AttachedStatement>, Box<Denial>> {
        match judge_attached(identity, &self.request()) {
            Ok(IdentityJudgement::Allowed(statement)) => Ok(Some(statement)),
            Ok(IdentityJudgement::Silent) => Ok(None),
            Ok(IdentityJudgement::Denied(statement)) => {
                Err(self.denial(Refusal::ExplicitDeny(Side::Identity), vec![denies(&statement)]))
            }
            Err(error) => Err(self.failure(Side::Identity, &error)),
        }
    }

    fn refuse_another_account(&self) -> Result<(), Box<Denial>> {
        if self.is_from_another_account() && !ACROSS_ACCOUNTS.contains(&self.action) {
            return Err(self.denial(Refusal::AnotherAccount, Vec::new()));
        }
        Ok(())
    }

    /// The anonymous caller has no account that could be another one.
    fn is_from_another_account(&self) -> bool {
        self.caller.account().is_some_and(|account| account != self.resource_account)
    }

    /// Whether a key policy that names the caller is not enough.
    fn needs_both_sides(&self) -> bool {
        self.is_from_another_account() && !self.is_from_a_root()
    }

    fn is_from_a_root(&self) -> bool {
        self.caller.arn().is_some_and(PrincipalArn::is_account_root)
    }

    fn denial(&self, refusal: Refusal, reasons: Vec<String>) -> Box<Denial> {
        Box::new(Denial {
            caller: self.caller.clone(),
            action: self.action,
            resource: self.resource.to_owned(),
            refusal,
            reasons,
        })
    }

    fn failure(&self, side: Side, error: &EvaluationError) -> Box<Denial> {
        self.denial(Refusal::Failed(side), vec![format!("the evaluation failed: {error}")])
    }

    fn pcr(&self, index: u8) -> ContextValues<'_> {
        match self.recipient.and_then(|recipient| recipient.evidence().pcrs().get(index)) {
            Some(pcr) => ContextValues::One(ContextValue::Text(pcr.to_hex().into())),
            None => ContextValues::Absent,
        }
    }
}
