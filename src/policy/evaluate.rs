//! Evaluation: one request against one policy.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::action::Action;
use super::caller::{Caller, PrincipalArn};
use super::condition::Condition;
use super::condition_key::{ConditionKey, ValueType};
use super::document::{IdentityPolicy, KeyPolicy};
use super::operator::Comparison;
use super::principal::Reach;
use super::statement::{Effect, Statement};
use crate::text::shorten;
use crate::time::UnixTime;

/// One question to a policy.
#[derive(Clone, Copy)]
pub struct PolicyRequest<'r> {
    /// Who asks.
    pub caller: &'r Caller,
    /// For what, as `kms:Decrypt`.
    pub action: &'r str,
    /// The ARN of the key or alias, or `*` for what is about none.
    pub resource: &'r str,
    /// Everything else that conditions may ask about.
    pub context: &'r dyn RequestContext,
}

/// The values of condition keys in one request.
///
/// What follows from the caller, such as `aws:PrincipalArn`, and what no request here has are never asked for here.
pub trait RequestContext {
    /// The values of `key`, of the key's [`ValueType`]: [`ContextValue::Text`] for strings, [`ContextValue::Time`]
    /// for dates and so on. A value of another type is an [`EvaluationError`], thus a denial.
    fn values(&self, key: &ConditionKey) -> ContextValues<'_>;
}

/// What a request holds for one condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextValues<'v> {
    /// Nothing.
    Absent,
    /// One value.
    One(ContextValue<'v>),
    /// The values of a key that may have several; an empty list counts as absent.
    Many(Vec<ContextValue<'v>>),
}

impl<'v> ContextValues<'v> {
    /// One borrowed text.
    pub const fn text(text: &'v str) -> Self {
        Self::One(ContextValue::Text(Cow::Borrowed(text)))
    }

    /// Several borrowed texts.
    pub fn texts(texts: impl IntoIterator<Item = &'v str>) -> Self {
        Self::Many(texts.into_iter().map(|text| ContextValue::Text(Cow::Borrowed(text))).collect())
    }
}

/// One value of a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextValue<'v> {
    /// A string or an ARN.
    Text(Cow<'v, str>),
    /// A boolean.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A moment; conditions see whole seconds.
    Time(UnixTime),
    /// An IP address.
    Address(IpAddr),
}

impl ContextValue<'_> {
    /// The text that string operators compare.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Flag(true) => Cow::Borrowed("true"),
            Self::Flag(false) => Cow::Borrowed("false"),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Time(time) => Cow::Owned(UnixTime::from_secs(time.as_secs()).to_string()),
            Self::Address(address) => Cow::Owned(address.to_canonical().to_string()),
        }
    }

    const fn fits(&self, value_type: ValueType) -> bool {
        matches!(
            (self, value_type),
            (Self::Text(_), ValueType::String | ValueType::Arn)
                | (Self::Flag(_), ValueType::Bool)
                | (Self::Number(_), ValueType::Numeric)
                | (Self::Time(_), ValueType::Date)
                | (Self::Address(_), ValueType::IpAddress)
        )
    }
}

/// The answer of a policy. Everything but [`Verdict::Allowed`] is a denial.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// A statement allows and none denies.
    Allowed {
        /// The first statement that allows.
        statement: StatementRef,
    },
    /// A statement allows the caller's account, none the caller, and none denies: of a key policy alone this is no yes.
    LeftToIdentityPolicies {
        /// The first statement that allows the account.
        statement: StatementRef,
    },
    /// A statement denies, whatever others allow.
    ExplicitlyDenied {
        /// The first statement that denies.
        statement: StatementRef,
    },
    /// No statement allows.
    NotAllowed {
        /// For each statement, in order, the first element that does not match. For the log and the audit record, not
        /// for the caller: it shows what the policy asks for.
        reasons: Vec<Reason>,
    },
    /// The question could not be answered.
    EvaluationFailed {
        /// Why not.
        error: EvaluationError,
    },
}

impl Verdict {
    /// Whether the request is allowed.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// A statement by its place, from 0, and its `Sid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRef {
    /// Place in the document, from 0.
    pub index: usize,
    /// The statement's `Sid`, unless empty.
    pub sid: Option<Arc<str>>,
}

/// `Statement[0]`, with the `Sid` in quotes behind it if there is one.
impl fmt::Display for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement[{}]", self.index)?;
        self.sid.as_ref().map_or(Ok(()), |sid| write!(f, " {:?}", shorten(sid)))
    }
}

/// Why a statement does not apply. Long values are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The statement.
    pub statement: StatementRef,
    /// What it would have done.
    pub effect: Effect,
    /// Its first element that does not match, such as `Condition.StringEquals.kms:RecipientAttestation:PCR0`.
    pub element: String,
    /// What the element asks for.
    pub expected: String,
    /// What the request holds.
    pub actual: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statement, effect, element, expected, actual } = self;
        write!(f, "{statement} ({effect:?}) {element}: expected {expected}, found {actual}")
    }
}

/// A question that has no answer: the request breaks a promise of [`PolicyRequest`] or [`RequestContext`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The requested action is none of KMS's.
    #[error("expected a KMS action, found {action:?}")]
    UnknownAction {
        /// The action.
        action: String,
    },
    /// A value has another type than its key.
    #[error("expected {expected} for {key}, found {actual:?}")]
    ValueOfOtherType {
        /// The key.
        key: String,
        /// The key's type.
        expected: &'static str,
        /// The value.
        actual: String,
    },
    /// A key that has at most one value came with a list.
    #[error("expected at most one value for {key}, found a list")]
    SeveralValues {
        /// The key.
        key: String,
    },
}

impl KeyPolicy {
    /// Answers one request: an explicit deny first, then an allow, else a denial with the reasons. An error in any
    /// statement that is reached denies.
    pub fn evaluate(&self, request: &PolicyRequest<'_>) -> Verdict {
        evaluate(&self.statements, request)
    }
}

impl IdentityPolicy {
    /// As [`KeyPolicy::evaluate`], for a caller whom the policy is attached to.
    pub fn evaluate(&self, request: &PolicyRequest<'_>) -> Verdict {
        evaluate(&self.statements, request)
    }
}

/// A policy's answer before its reasons are put in words.
pub(super) enum Judgement {
    Denied(StatementRef),
    Allowed(StatementRef),
    LeftToIdentityPolicies(StatementRef),
    Silent,
}

fn evaluate(statements: &[Statement], request: &PolicyRequest<'_>) -> Verdict {
    let verdict = || {
        Ok(match judge(statements, request)? {
            Judgement::Denied(statement) => Verdict::ExplicitlyDenied { statement },
            Judgement::Allowed(statement) => Verdict::Allowed { statement },
            Judgement::LeftToIdentityPolicies(statement) => Verdict::LeftToIdentityPolicies { statement },
            Judgement::Silent => Verdict::NotAllowed { reasons: reasons(statements, request)? },
        })
    };
    verdict().unwrap_or_else(|error| Verdict::EvaluationFailed { error })
}

pub(super) fn judge(
    statements: &[Statement],
    request: &PolicyRequest<'_>,
) -> Result<Judgement, EvaluationError> {
    let action = request.known_action()?;
    let (mut allows_caller, mut allows_account) = (None, None);
    for (index, statement) in statements.iter().enumerate() {
        if statement.first_mismatch(request, action)?.is_none() {
            let reference = StatementRef { index, sid: statement.sid.clone() };
            match (statement.effect, statement.reach(request.caller)) {
                (Effect::Deny, _) => return Ok(Judgement::Denied(reference)),
                (Effect::Allow, Reach::Caller) => allows_caller = allows_caller.or(Some(reference)),
                (Effect::Allow, Reach::Account | Reach::Nobody) => {
                    allows_account = allows_account.or(Some(reference));
                }
            }
        }
    }
    Ok(match (allows_caller, allows_account) {
        (Some(statement), _) => Judgement::Allowed(statement),
        (None, Some(statement)) => Judgement::LeftToIdentityPolicies(statement),
        (None, None) => Judgement::Silent,
    })
}

/// Why no statement allows: a second pass that pays for the words only when they are wanted.
pub(super) fn reasons(
    statements: &[Statement],
    request: &PolicyRequest<'_>,
) -> Result<Vec<Reason>, EvaluationError> {
    let action = request.known_action()?;
    let mut reasons = Vec::with_capacity(statements.len());
    for (index, statement) in statements.iter().enumerate() {
        if let Some(mismatch) = statement.first_mismatch(request, action)? {
            let (element, expected, actual) = mismatch.describe(statement, request)?;
            reasons.push(Reason {
                statement: StatementRef { index, sid: statement.sid.clone() },
                effect: statement.effect,
                element: shorten(&element),
                expected: shorten(&expected),
                actual: shorten(&actual),
            });
        }
    }
    Ok(reasons)
}

/// One element of a statement.
#[derive(Clone, Copy)]
pub(super) enum Element<'s> {
    Action,
    Principal,
    Resource,
    Condition(&'s Condition),
}

impl Statement {
    /// Every element, in the order in which they are asked.
    pub(super) fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        [Element::Action, Element::Principal, Element::Resource]
            .into_iter()
            .chain(self.conditions.iter().map(Element::Condition))
    }

    /// The first element that does not match.
    fn first_mismatch(
        &self,
        request: &PolicyRequest<'_>,
        action: Action,
    ) -> Result<Option<Element<'_>>, EvaluationError> {
        for element in self.elements() {
            if !element.matches(self, request, action)? {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }
}

impl Element<'_> {
    pub(super) fn matches(
        &self,
        statement: &Statement,
        request: &PolicyRequest<'_>,
        action: Action,
    ) -> Result<bool, EvaluationError> {
        match self {
            Self::Action => Ok(statement.actions.matches(action)),
            Self::Principal => Ok(statement.reach(request.caller) != Reach::Nobody),
            Self::Resource => statement.resources.matches(request, statement.effect),
            Self::Condition(condition) => condition.holds(request, statement.effect),
        }
    }

    /// The element, what it asks for, and what the request holds.
    pub(super) fn describe(
        &self,
        statement: &Statement,
        request: &PolicyRequest<'_>,
    ) -> Result<(String, String, String), EvaluationError> {
        let Statement { sid: _, effect: _, principals, actions, resources, conditions: _ } = statement;
        Ok(match self {
            Self::Principal => {
                let (negated, any_of) = principals
                    .as_ref()
                    .map_or((false, &[][..]), |element| (element.negated, &*element.any_of));
                let name = if negated { "NotPrincipal" } else { "Principal" };
                (name.to_owned(), listed(negated, any_of), request.caller.to_string())
            }
            Self::Action => {
                let name = if actions.negated { "NotAction" } else { "Action" };
                (name.to_owned(), listed(actions.negated, &actions.any_of), request.action.to_owned())
            }
            Self::Resource => {
                let name = if resources.negated { "NotResource" } else { "Resource" };
                (name.to_owned(), listed(resources.negated, &resources.any_of), request.resource.to_owned())
            }
            Self::Condition(Condition { operator, key, any_of }) => (
                format!("Condition.{operator}.{key}"),
                listed(operator.comparison.is_negated(), any_of),
                shown(&request.values(key)?, operator.comparison),
            ),
        })
    }
}

impl PolicyRequest<'_> {
    pub(super) fn known_action(&self) -> Result<Action, EvaluationError> {
        Action::find(self.action)
            .ok_or_else(|| EvaluationError::UnknownAction { action: shorten(self.action) })
    }

    /// The values of `key`, checked against what the key may hold.
    pub(super) fn values(&self, key: &ConditionKey) -> Result<ContextValues<'_>, EvaluationError> {
        let text = |text: Option<_>| Ok(text.map_or(ContextValues::Absent, ContextValues::text));
        let values = match key {
            ConditionKey::PrincipalArn => return text(self.caller.arn().map(PrincipalArn::principal_arn)),
            ConditionKey::CallerAccount | ConditionKey::PrincipalAccount => {
                return text(self.caller.account());
            }
            ConditionKey::PrincipalType => return text(Some(self.caller.principal_type())),
            ConditionKey::Username => return text(self.caller.arn().and_then(PrincipalArn::user_name)),
            // No principal here is a service of AWS, and none acts through one.
            ConditionKey::PrincipalIsAwsService | ConditionKey::ViaAwsService => {
                return Ok(ContextValues::One(ContextValue::Flag(false)));
            }
            ConditionKey::PrincipalTag(_) | ConditionKey::NeverPresent(_) => {
                return Ok(ContextValues::Absent);
            }
            _ => self.context.values(key),
        };
        let check = |value: &ContextValue<'_>| {
            let value_type = key.value_type();
            value.fits(value_type).then_some(()).ok_or_else(|| EvaluationError::ValueOfOtherType {
                key: shorten(&key.to_string()),
                expected: value_type.describe(),
                actual: shorten(&value.text()),
            })
        };
        match &values {
            ContextValues::Absent => {}
            ContextValues::One(value) => check(value)?,
            ContextValues::Many(_) if !key.is_multivalued() => {
                return Err(EvaluationError::SeveralValues { key: shorten(&key.to_string()) });
            }
            ContextValues::Many(list) if list.is_empty() => return Ok(ContextValues::Absent),
            ContextValues::Many(list) => list.iter().try_for_each(check)?,
        }
        Ok(values)
    }
}

fn listed<T: fmt::Display>(negated: bool, items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    match (negated, items.as_slice()) {
        (false, [one]) => one.clone(),
        (false, many) => format!("one of {}", many.join(", ")),
        (true, all) => format!("none of {}", all.join(", ")),
    }
}

fn shown(values: &ContextValues<'_>, comparison: Comparison) -> String {
    match values {
        ContextValues::Absent => "absent".to_owned(),
        ContextValues::One(_) | ContextValues::Many(_) if comparison == Comparison::Null => {
            "present".to_owned()
        }
        ContextValues::One(value) => format!("{:?}", value.text()),
        ContextValues::Many(values) => {
            values.iter().map(|value| format!("{:?}", value.text())).collect::<Vec<_>>().join(", ")
        }
    }
}
