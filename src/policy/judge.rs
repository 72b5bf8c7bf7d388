//! The judgement: key policy, identity policies and grants asked about one request. It is the same for a request that is
//! there and for one that somebody describes, and gives no power; [`super::decide()`] makes a permit of it.

use std::fmt;
use std::sync::Arc;

use super::attached::{
    AttachedPolicy, AttachedStatement, IdentityJudgement, judge_attached, reasons_of_attached,
};
use super::denial::{Denial, Refusal, Side};
use super::document::KeyPolicy;
use super::evaluate::{EvaluationError, Judgement, StatementRef, judge, reasons};
use super::grant::{Grant, GrantId, GrantReason, RetiredAs};
use super::inquiry::Inquiry;

/// Grants that do not allow a request, named in its denial at most.
const MAX_GRANT_REASONS: usize = 16;

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
pub fn judge_access(policies: &Policies<'_>, inquiry: &Inquiry<'_>) -> Result<AllowedBy, Box<Denial>> {
    inquiry.refuse_another_account()?;
    let by_key = inquiry.judge_key(policies.key)?;
    let by_identity = inquiry.judge_identity(policies.identity)?;
    let left_by = match (by_key, by_identity) {
        (KeyJudgement::Allowed(statement), _) if !inquiry.needs_both_sides() => {
            return Ok(AllowedBy::Statement(statement));
        }
        (KeyJudgement::Allowed(key) | KeyJudgement::LeftToIdentityPolicies(key), Some(identity)) => {
            return Ok(AllowedBy::Both { key, identity });
        }
        (KeyJudgement::Allowed(key) | KeyJudgement::LeftToIdentityPolicies(key), None) => Some(key),
        (KeyJudgement::Silent, _) => None,
    };
    match policies.grants.iter().find(|grant| grant.allows(inquiry)) {
        Some(grant) => Ok(AllowedBy::Grant(grant.id)),
        None => Err(inquiry.refusal(left_by.as_ref(), policies)),
    }
}

/// Whether the caller may retire `grant`, and as what. That the key's policy allows `kms:RetireGrant` makes no difference, as
/// in KMS; that an identity policy does lets the caller act for its account. What either denies is refused.
///
/// # Errors
/// The denial, when the grant names the caller for nothing that ends it, a statement denies, or the evaluation fails.
pub fn judge_retirement(
    policies: &Policies<'_>,
    inquiry: &Inquiry<'_>,
    grant: &Grant,
) -> Result<RetiredAs, Box<Denial>> {
    inquiry.judge_key(policies.key)?;
    let is_delegated = inquiry.judge_identity(policies.identity)?.is_some();
    grant.retired_as(inquiry.caller, is_delegated).ok_or_else(|| {
        let reason = GrantReason {
            grant: grant.id,
            element: "RetiringPrincipal",
            expected: "the retiring principal, the grantee where it may, or the issuing account".to_owned(),
            actual: inquiry.caller.to_string(),
        };
        inquiry.denial(Refusal::NotAllowed(Side::Resource), vec![reason.to_string()])
    })
}

/// Asks the caller's policies alone, about what no key policy speaks of. The account's root needs none.
///
/// # Errors
/// The denial, also for every caller of another account.
pub fn judge_by_identity(
    identity: &[AttachedPolicy],
    inquiry: &Inquiry<'_>,
) -> Result<Option<AttachedStatement>, Box<Denial>> {
    if inquiry.is_from_another_account() {
        return Err(inquiry.denial(Refusal::AnotherAccount, Vec::new()));
    }
    match inquiry.judge_identity(identity)? {
        None if inquiry.is_from_a_root() => Ok(None),
        None => {
            let reasons = reasons_of_attached(identity, &inquiry.request());
            Err(inquiry.denial(Refusal::NotAllowed(Side::Identity), reasons))
        }
        allowed_by => Ok(allowed_by),
    }
}

/// Asks the caller's policies only whether they deny, where something else has allowed already.
///
/// # Errors
/// The denial.
pub fn judge_unless_denied(identity: &[AttachedPolicy], inquiry: &Inquiry<'_>) -> Result<(), Box<Denial>> {
    inquiry.judge_identity(identity).map(drop)
}

/// What a key's policy says, when it does not deny.
enum KeyJudgement {
    /// It names the caller.
    Allowed(StatementRef),
    /// It names the caller's account.
    LeftToIdentityPolicies(StatementRef),
    Silent,
}

fn denies(statement: &impl fmt::Display) -> String {
    format!("{statement} denies")
}

impl Inquiry<'_> {
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

    /// Whether a key policy that names the caller is not enough.
    fn needs_both_sides(&self) -> bool {
        self.is_from_another_account() && !self.is_from_a_root()
    }

    fn failure(&self, side: Side, error: &EvaluationError) -> Box<Denial> {
        self.denial(Refusal::Failed(side), vec![format!("the evaluation failed: {error}")])
    }
}
