//! The decision about a request whose evidence is at hand, and the proof that it was a yes.

use super::attached::{AttachedPolicy, AttachedStatement};
use super::denial::Denial;
use super::grant::{Grant, RetiredAs};
use super::judge::{
    AllowedBy, Policies, judge_access, judge_by_identity, judge_retirement, judge_unless_denied,
};
use super::question::Question;
use crate::attestation::RecipientKey;

/// Proof that the policies or a grant allowed one action on one key, and to whom the answer may go.
///
/// Only [`decide`] makes one, and key material cannot be used without.
#[derive(Debug)]
pub struct Permit {
    resource: String,
    allowed_by: AllowedBy,
    recipient: Option<RecipientKey>,
}

/// What [`judge_access`] says of the question, as a permit where it is a yes.
///
/// # Errors
/// The denial.
pub fn decide(policies: &Policies<'_>, question: &Question<'_>) -> Result<Permit, Box<Denial>> {
    let allowed_by = judge_access(policies, &question.inquiry())?;
    Ok(Permit {
        resource: question.resource.to_owned(),
        allowed_by,
        recipient: question.recipient.map(|recipient| recipient.key().clone()),
    })
}

/// What [`judge_retirement`] says of the question.
///
/// # Errors
/// The denial.
pub fn decide_retirement(
    policies: &Policies<'_>,
    question: &Question<'_>,
    grant: &Grant,
) -> Result<RetiredAs, Box<Denial>> {
    judge_retirement(policies, &question.inquiry(), grant)
}

/// What [`judge_by_identity`] says of the question.
///
/// # Errors
/// The denial.
pub fn decide_by_identity(
    identity: &[AttachedPolicy],
    question: &Question<'_>,
) -> Result<Option<AttachedStatement>, Box<Denial>> {
    judge_by_identity(identity, &question.inquiry())
}

/// What [`judge_unless_denied`] says of the question.
///
/// # Errors
/// The denial.
pub fn decide_unless_denied(identity: &[AttachedPolicy], question: &Question<'_>) -> Result<(), Box<Denial>> {
    judge_unless_denied(identity, &question.inquiry())
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
