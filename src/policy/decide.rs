//! The decision: a key policy, and the key's grants, asked about one request with all its evidence.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::caller::{Caller, PrincipalArn};
use super::condition_key::ConditionKey;
use super::document::KeyPolicy;
use super::evaluate::{ContextValue, ContextValues, PolicyRequest, RequestContext, StatementRef, Verdict};
use super::grant::{Grant, GrantConstraint, GrantId, GrantOperation, GrantReason, GrantTerms, RetiredAs};
use crate::attestation::{AttestedRecipient, RecipientKey};
use crate::encryption_context::EncryptionContext;
use crate::time::UnixTime;

/// What a key policy is asked: everything that its conditions may look at.
pub struct Question<'q> {
    /// Who asks.
    pub caller: &'q Caller,
    /// For what, such as `kms:Decrypt`.
    pub action: &'static str,
    /// The key's ARN.
    pub resource: &'q str,
    /// The alias names of the key, `alias/…`.
    pub resource_aliases: &'q [String],
    /// The alias that the request named the key by.
    pub request_alias: Option<&'q str>,
    /// The verified enclave that would receive the answer.
    pub recipient: Option<&'q AttestedRecipient>,
    /// The request's encryption context.
    pub encryption_context: &'q EncryptionContext,
    /// The key's spec, such as `SYMMETRIC_DEFAULT`.
    pub key_spec: &'static str,
    /// The key's usage, such as `ENCRYPT_DECRYPT`.
    pub key_usage: &'static str,
    /// Where the key's material comes from, such as `AWS_KMS`.
    pub key_origin: &'static str,
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

/// Proof that a key policy or a grant allowed one action on one key, and to whom the answer may go.
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
    /// A statement of the key's policy.
    Statement(StatementRef),
    /// A grant, where the key's policy neither allowed nor denied.
    Grant(GrantId),
}

/// A policy's no. Its [`Display`](fmt::Display) is what the caller may read; the reasons are for log and audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    caller: Caller,
    action: &'static str,
    resource: String,
    verdict: Verdict,
    /// Of the grants that might have allowed it, up to [`MAX_GRANT_REASONS`].
    grants: Vec<GrantReason>,
}

/// Everything that may speak for or against a request.
#[derive(Clone, Copy)]
pub struct Policies<'p> {
    /// The key's own.
    pub key: &'p KeyPolicy,
    /// Grants that may name the caller. What does not fit the question is passed over.
    pub grants: &'p [Arc<Grant>],
}

/// Asks `policies` about one request: the key's policy first, and the grants where it neither allows nor denies.
///
/// # Errors
/// The denial, when neither a statement nor a grant allows, a statement denies, or the evaluation fails.
pub fn decide(policies: &Policies<'_>, question: &Question<'_>) -> Result<Permit, Box<Denial>> {
    let permit = |allowed_by| Permit {
        resource: question.resource.to_owned(),
        allowed_by,
        recipient: question.recipient.map(|recipient| recipient.key().clone()),
    };
    match evaluate(policies, question) {
        Verdict::Allowed { statement } => Ok(permit(AllowedBy::Statement(statement))),
        verdict @ Verdict::NotAllowed { .. } => {
            match policies.grants.iter().find(|grant| grant.allows(question)) {
                Some(grant) => Ok(permit(AllowedBy::Grant(grant.id))),
                None => Err(Denial::of(question, verdict, policies.grants)),
            }
        }
        verdict => Err(Denial::of(question, verdict, &[])),
    }
}

/// Whether the caller may retire `grant`, and as what. That a statement allows `kms:RetireGrant` makes no difference, as
/// in KMS; one that denies does.
///
/// # Errors
/// The denial, when the grant names the caller for nothing that ends it, a statement denies, or the evaluation fails.
pub fn decide_retirement(
    policies: &Policies<'_>,
    question: &Question<'_>,
    grant: &Grant,
) -> Result<RetiredAs, Box<Denial>> {
    match evaluate(policies, question) {
        verdict @ (Verdict::ExplicitlyDenied { .. } | Verdict::EvaluationFailed { .. }) => {
            Err(Denial::of(question, verdict, &[]))
        }
        Verdict::Allowed { .. } | Verdict::NotAllowed { .. } => {
            grant.retired_as(question.caller).ok_or_else(|| {
                let mut denial = Denial::of(question, Verdict::NotAllowed { reasons: Vec::new() }, &[]);
                denial.grants.push(GrantReason {
                    grant: grant.id,
                    element: "RetiringPrincipal",
                    expected: "the retiring principal, the grantee where it may, or the issuing account"
                        .to_owned(),
                    actual: question.caller.to_string(),
                });
                denial
            })
        }
    }
}

fn evaluate(policies: &Policies<'_>, question: &Question<'_>) -> Verdict {
    policies.key.evaluate(&PolicyRequest {
        caller: question.caller,
        action: question.action,
        resource: question.resource,
        context: question,
    })
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
    fn of(question: &Question<'_>, verdict: Verdict, grants: &[Arc<Grant>]) -> Box<Self> {
        Box::new(Self {
            caller: question.caller.clone(),
            action: question.action,
            resource: question.resource.to_owned(),
            verdict,
            grants: grants
                .iter()
                .take(MAX_GRANT_REASONS)
                .filter_map(|grant| grant.reason(question))
                .collect(),
        })
    }

    /// Whether a grant could still allow it: no statement denies, and it is something that a grant can allow.
    pub fn leaves_room_for_a_grant(&self) -> bool {
        matches!(self.verdict, Verdict::NotAllowed { .. }) && GrantOperation::of_action(self.action).is_some()
    }

    /// The policy's verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// For each statement and grant why it did not allow, or which one denied. It shows what the policy asks for: not for the
    /// caller.
    pub fn reasons(&self) -> Vec<String> {
        match &self.verdict {
            Verdict::Allowed { .. } => Vec::new(),
            Verdict::ExplicitlyDenied { statement } => vec![format!("{statement} denies")],
            Verdict::NotAllowed { reasons } => {
                let statements = reasons.iter().map(ToString::to_string);
                statements.chain(self.grants.iter().map(ToString::to_string)).collect()
            }
            Verdict::EvaluationFailed { error } => vec![format!("the evaluation failed: {error}")],
        }
    }
}

impl std::error::Error for Denial {}

/// The words of KMS.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, action, resource, verdict, grants: _ } = self;
        write!(f, "User: {caller} is not authorized to perform: {action} on resource: {resource} ")?;
        match verdict {
            Verdict::ExplicitlyDenied { .. } => {
                f.write_str("with an explicit deny in a resource-based policy")
            }
            _ => write!(f, "because no resource-based policy allows the {action} action"),
        }
    }
}

impl RequestContext for Question<'_> {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        match key {
            ConditionKey::RecipientAttestationImageSha384 => self.pcr(0),
            ConditionKey::RecipientAttestationPcr(index) => self.pcr(*index),
            ConditionKey::EncryptionContext(name) => optional_text(self.encryption_context.get(name)),
            ConditionKey::EncryptionContextKeys => ContextValues::texts(self.encryption_context.keys()),
            ConditionKey::KeySpec => ContextValues::text(self.key_spec),
            ConditionKey::KeyUsage => ContextValues::text(self.key_usage),
            ConditionKey::KeyOrigin => ContextValues::text(self.key_origin),
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
            // These follow from the caller; the evaluation never asks for them here.
            ConditionKey::PrincipalArn | ConditionKey::CallerAccount => ContextValues::Absent,
        }
    }
}

impl<'q> Question<'q> {
    /// The least that there is to ask: about a symmetric encryption key, without evidence, context or names.
    pub fn new(caller: &'q Caller, action: &'static str, resource: &'q str, now: UnixTime) -> Self {
        static NO_CONTEXT: EncryptionContext = EncryptionContext::EMPTY;
        Self {
            caller,
            action,
            resource,
            key_spec: "SYMMETRIC_DEFAULT",
            key_usage: "ENCRYPT_DECRYPT",
            key_origin: "AWS_KMS",
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
            now,
        }
    }

    fn pcr(&self, index: u8) -> ContextValues<'_> {
        match self.recipient.and_then(|recipient| recipient.evidence().pcrs().get(index)) {
            Some(pcr) => ContextValues::One(ContextValue::Text(pcr.to_hex().into())),
            None => ContextValues::Absent,
        }
    }
}

fn optional_text(text: Option<&str>) -> ContextValues<'_> {
    text.map_or(ContextValues::Absent, ContextValues::text)
}
