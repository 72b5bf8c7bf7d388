//! Identity policies and whom they are attached to.

use std::fmt;

use super::document::IdentityPolicy;
use super::evaluate::{EvaluationError, Judgement, PolicyRequest, StatementRef, judge, reasons};

/// Characters of a policy's name at most (IAM API, `policyNameType`).
const MAX_POLICY_NAME_LEN: usize = 128;

/// An identity policy under the name by which it is attached.
#[derive(Clone, Debug)]
pub struct AttachedPolicy {
    /// Its name, one of its own among those of the same principal.
    pub name: PolicyName,
    /// What it says.
    pub policy: IdentityPolicy,
}

/// The name of an attached policy: 1 to 128 letters, digits and `_+=,.@-` (IAM API, `policyNameType`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyName(Box<str>);

/// A text that is no policy's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no policy name: 1 to 128 letters, digits and _+=,.@-")]
pub struct InvalidPolicyName(pub String);

/// A statement of an attached policy. Shown as `policy "NAME" Statement[0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedStatement {
    /// The policy's name.
    pub policy: PolicyName,
    /// The statement.
    pub statement: StatementRef,
}

impl PolicyName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it has another length or other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicyName> {
        if text.len() <= MAX_POLICY_NAME_LEN && super::caller::is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPolicyName(crate::text::shorten(text)))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What all the policies of a caller say together.
pub(super) enum IdentityJudgement {
    Denied(AttachedStatement),
    Allowed(AttachedStatement),
    Silent,
}

/// Asks every policy: a deny in any beats an allow in any.
pub(super) fn judge_attached(
    policies: &[AttachedPolicy],
    request: &PolicyRequest<'_>,
) -> Result<IdentityJudgement, EvaluationError> {
    let mut allowed_by = None;
    for AttachedPolicy { name, policy } in policies {
        let of_policy = |statement| AttachedStatement { policy: name.clone(), statement };
        match judge(&policy.statements, request)? {
            Judgement::Denied(statement) => return Ok(IdentityJudgement::Denied(of_policy(statement))),
            Judgement::Allowed(statement) => allowed_by = allowed_by.or_else(|| Some(of_policy(statement))),
            // No statement of an identity policy has a principal, so none is about an account.
            Judgement::LeftToIdentityPolicies(_) | Judgement::Silent => {}
        }
    }
    Ok(allowed_by.map_or(IdentityJudgement::Silent, IdentityJudgement::Allowed))
}

/// Why none of the policies allows, statement by statement.
pub(super) fn reasons_of_attached(policies: &[AttachedPolicy], request: &PolicyRequest<'_>) -> Vec<String> {
    if policies.is_empty() {
        return vec!["no identity policy is attached to the caller".to_owned()];
    }
    let of_policy = |AttachedPolicy { name, policy }: &AttachedPolicy| {
        let words = match reasons(&policy.statements, request) {
            Ok(reasons) => reasons.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("the evaluation failed: {error}")],
        };
        words.into_iter().map(|reason| format!("policy {name} {reason}")).collect::<Vec<_>>()
    };
    policies.iter().flat_map(of_policy).collect()
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for AttachedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, statement } = self;
        write!(f, "policy {policy} {statement}")
    }
}
