//! A judgement with everything that led to it: for each statement and grant, which elements match and which do not.

use std::fmt;

use serde::Serialize;

use super::attached::{AttachedPolicy, AttachedStatement};
use super::condition::Condition;
use super::denial::{Denial, Refusal, Side};
use super::evaluate::{ContextValues, Element, EvaluationError, PolicyRequest, StatementRef};
use super::grant::RetiredAs;
use super::inquiry::Inquiry;
use super::judge::{AllowedBy, Policies, judge_access, judge_by_identity};
use super::operator::Comparison;
use super::principal::Reach;
use super::statement::{Effect, Statement};
use crate::text::shorten;

/// A judgement and what led to it. Long values are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The judgement itself.
    pub decision: Decision,
    /// Every statement of the key's policy.
    pub key_policy: Vec<StatementTrace>,
    /// Every policy of the caller.
    pub identity_policies: Vec<PolicyTrace>,
    /// Every grant that was asked.
    pub grants: Vec<GrantTrace>,
}

/// A judgement in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// What kind of yes or no it is.
    pub kind: DecisionKind,
    /// What decided, such as `Statement[0] "OnlyThisImage" of the key's policy allows`.
    pub because: String,
}

/// The kinds of yes and no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DecisionKind {
    /// The key's policy allows the caller.
    AllowedByKeyPolicy,
    /// The key's policy and one of the caller's allow together.
    AllowedByBoth,
    /// A policy of the caller allows what is about no key.
    AllowedByIdentityPolicy,
    /// An account's root needs no policy.
    AllowedToRoot,
    /// A grant allows.
    AllowedByGrant,
    /// The grant that is to end names the caller for that, or the caller acts for the account that made it.
    AllowedToRetire,
    /// Something else allows, and no policy of the caller denies.
    NotDenied,
    /// A statement denies.
    ExplicitDeny,
    /// Nothing allows.
    NotAllowed,
    /// The question could not be answered, which denies.
    Failed,
    /// The action is not open to callers of another account.
    AnotherAccount,
}

/// A policy of the caller, statement by statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTrace {
    /// The policy's name.
    pub name: String,
    /// Its statements.
    pub statements: Vec<StatementTrace>,
}

/// One statement, element by element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementTrace {
    /// Its place in the document, from 0.
    pub index: usize,
    /// Its `Sid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// What it does where it applies.
    pub effect: Effect,
    /// Whether it applies.
    pub applies: Applies,
    /// Whether its principal names no more than the caller's account.
    pub names_only_the_account: bool,
    /// Every element, in the order in which they are asked.
    pub elements: Vec<ElementTrace>,
}

/// Whether a statement applies to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Applies {
    /// Every element matches.
    Yes,
    /// Every element matches, of which the principal names no more than the caller's account: an `Allow` leaves it to
    /// identity policies.
    ToTheAccount,
    /// An element does not match.
    No,
    /// An element could not be asked, which denies.
    Failed,
}

/// One element of a statement, or member of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ElementTrace {
    /// Such as `Condition.StringEquals.kms:RecipientAttestation:PCR0`.
    pub element: String,
    /// Whether it matches.
    pub matched: bool,
    /// What it asks for.
    pub expected: String,
    /// What the request holds.
    pub actual: String,
    /// What is easily overlooked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One grant, member by member up to the first that does not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantTrace {
    /// The grant's id.
    pub grant: String,
    /// Whether it allows the request, where the policies neither allow nor deny.
    pub applies: bool,
    /// Its members.
    pub members: Vec<ElementTrace>,
}

/// Judges as [`judge_access`] does, and shows every statement and grant with it.
pub fn explain_access(policies: &Policies<'_>, inquiry: &Inquiry<'_>) -> Explanation {
    Explanation {
        decision: Decision::of(&judge_access(policies, inquiry)),
        key_policy: trace_statements(&policies.key.statements, inquiry),
        identity_policies: trace_attached(policies.identity, inquiry),
        grants: policies.grants.iter().map(|grant| grant.trace(inquiry)).collect(),
    }
}

/// Judges as [`judge_by_identity`] does, and shows every statement with it.
pub fn explain_by_identity(identity: &[AttachedPolicy], inquiry: &Inquiry<'_>) -> Explanation {
    let decision = Decision::of_identity(&judge_by_identity(identity, inquiry));
    Explanation {
        decision,
        key_policy: Vec::new(),
        identity_policies: trace_attached(identity, inquiry),
        grants: Vec::new(),
    }
}

impl Decision {
    /// The words for what was judged.
    pub fn of(judged: &Result<AllowedBy, Box<Denial>>) -> Self {
        match judged {
            Ok(AllowedBy::Statement(statement)) => {
                let because = format!("{statement} of the key's policy allows");
                Self::yes(DecisionKind::AllowedByKeyPolicy, because)
            }
            Ok(AllowedBy::Both { key, identity }) => {
                let because = format!("{key} of the key's policy and {identity} allow");
                Self::yes(DecisionKind::AllowedByBoth, because)
            }
            Ok(AllowedBy::Grant(grant)) => {
                Self::yes(DecisionKind::AllowedByGrant, format!("the grant {grant} allows"))
            }
            Err(denial) => Self::no(denial),
        }
    }

    /// As [`Decision::of`], where the caller's policies alone were asked.
    pub fn of_identity(judged: &Result<Option<AttachedStatement>, Box<Denial>>) -> Self {
        match judged {
            Ok(Some(statement)) => {
                Self::yes(DecisionKind::AllowedByIdentityPolicy, format!("{statement} allows"))
            }
            Ok(None) => {
                Self::yes(DecisionKind::AllowedToRoot, "an account's root needs no policy".to_owned())
            }
            Err(denial) => Self::no(denial),
        }
    }

    /// As [`Decision::of`], where the caller's policies were only not to deny.
    pub fn of_no_deny(judged: &Result<(), Box<Denial>>) -> Self {
        match judged {
            Ok(()) => Self::yes(DecisionKind::NotDenied, "no identity policy denies".to_owned()),
            Err(denial) => Self::no(denial),
        }
    }

    /// As [`Decision::of`], of the end of a grant.
    pub fn of_retirement(judged: &Result<RetiredAs, Box<Denial>>) -> Self {
        match judged {
            Ok(as_what) => {
                let because = format!("the caller may retire the grant as its {}", as_what.name());
                Self::yes(DecisionKind::AllowedToRetire, because)
            }
            Err(denial) => Self::no(denial),
        }
    }

    fn yes(kind: DecisionKind, because: String) -> Self {
        Self { allowed: true, kind, because }
    }

    fn no(denial: &Denial) -> Self {
        let first = || denial.reasons().first().cloned().unwrap_or_default();
        let (kind, because) = match denial.refusal() {
            Refusal::ExplicitDeny(Side::Resource) => {
                (DecisionKind::ExplicitDeny, format!("the key policy's {}", first()))
            }
            Refusal::ExplicitDeny(Side::Identity) => (DecisionKind::ExplicitDeny, first()),
            Refusal::NotAllowed(Side::Resource) => (
                DecisionKind::NotAllowed,
                "no statement of the key's policy allows the caller, and no grant".to_owned(),
            ),
            Refusal::NotAllowed(Side::Identity) => {
                (DecisionKind::NotAllowed, "no identity policy of the caller allows, and no grant".to_owned())
            }
            Refusal::Failed(_) => (DecisionKind::Failed, first()),
            Refusal::AnotherAccount => (
                DecisionKind::AnotherAccount,
                "the action is not open to callers of another account".to_owned(),
            ),
        };
        Self { allowed: false, kind, because }
    }
}

/// What decided: a statement of the key's policy, one of the caller's, or a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deciding {
    /// Of the key's policy.
    Statement(StatementRef),
    /// Of the caller's policy of this name.
    IdentityStatement(String, StatementRef),
    /// A grant, by its id.
    Grant(String),
}

impl Deciding {
    /// Whether it has this name: a `Sid`, `Statement[0]`, or a grant's id.
    pub fn is_named(&self, name: &str) -> bool {
        match self {
            Self::Statement(statement) | Self::IdentityStatement(_, statement) => {
                statement.sid.as_deref() == Some(name) || format!("Statement[{}]", statement.index) == name
            }
            Self::Grant(id) => id == name,
        }
    }
}

impl fmt::Display for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(statement) => write!(f, "{statement}"),
            Self::IdentityStatement(policy, statement) => write!(f, "policy {policy:?} {statement}"),
            Self::Grant(id) => write!(f, "grant {id}"),
        }
    }
}

impl Explanation {
    /// What decided, where something did and not the lack of it.
    pub fn deciding(&self) -> Vec<Deciding> {
        use Applies::{ToTheAccount, Yes};
        let of_key = |effect, how: &[Applies]| {
            first_of(&self.key_policy, effect, how).map(Deciding::Statement).into_iter()
        };
        let of_identity = |effect| {
            self.identity_policies.iter().find_map(|policy| {
                first_of(&policy.statements, effect, &[Yes])
                    .map(|statement| Deciding::IdentityStatement(policy.name.clone(), statement))
            })
        };
        match self.decision.kind {
            DecisionKind::AllowedByKeyPolicy => of_key(Effect::Allow, &[Yes]).collect(),
            DecisionKind::AllowedByBoth => {
                let named = of_key(Effect::Allow, &[Yes]).chain(of_key(Effect::Allow, &[ToTheAccount]));
                named.take(1).chain(of_identity(Effect::Allow)).collect()
            }
            DecisionKind::AllowedByIdentityPolicy => of_identity(Effect::Allow).into_iter().collect(),
            DecisionKind::AllowedByGrant => {
                let grant = self.grants.iter().find(|grant| grant.applies);
                grant.map(|grant| Deciding::Grant(grant.grant.clone())).into_iter().collect()
            }
            DecisionKind::ExplicitDeny => {
                let denying = of_key(Effect::Deny, &[Yes, ToTheAccount]).chain(of_identity(Effect::Deny));
                denying.take(1).collect()
            }
            DecisionKind::AllowedToRoot
            | DecisionKind::AllowedToRetire
            | DecisionKind::NotDenied
            | DecisionKind::NotAllowed
            | DecisionKind::Failed
            | DecisionKind::AnotherAccount => Vec::new(),
        }
    }
}

fn first_of(statements: &[StatementTrace], effect: Effect, how: &[Applies]) -> Option<StatementRef> {
    let mut applying = statements.iter();
    applying
        .find(|statement| statement.effect == effect && how.contains(&statement.applies))
        .map(StatementTrace::reference)
}

fn trace_attached(identity: &[AttachedPolicy], inquiry: &Inquiry<'_>) -> Vec<PolicyTrace> {
    identity
        .iter()
        .map(|attached| PolicyTrace {
            name: attached.name.as_str().to_owned(),
            statements: trace_statements(&attached.policy.statements, inquiry),
        })
        .collect()
}

fn trace_statements(statements: &[Statement], inquiry: &Inquiry<'_>) -> Vec<StatementTrace> {
    let request = inquiry.request();
    (0..).zip(statements).map(|(index, statement)| statement.trace(index, &request)).collect()
}

impl StatementTrace {
    /// The statement by its place and `Sid`.
    pub fn reference(&self) -> StatementRef {
        StatementRef { index: self.index, sid: self.sid.as_deref().map(Into::into) }
    }
}

impl Statement {
    fn trace(&self, index: usize, request: &PolicyRequest<'_>) -> StatementTrace {
        let mut has_failed = false;
        let elements: Vec<ElementTrace> = self
            .elements()
            .map(|element| {
                element.trace(self, request).unwrap_or_else(|error| {
                    has_failed = true;
                    ElementTrace::failed(&element, &error)
                })
            })
            .collect();
        let names_only_the_account = self.reach(request.caller) == Reach::Account;
        let applies = if has_failed {
            Applies::Failed
        } else if !elements.iter().all(|element| element.matched) {
            Applies::No
        } else if names_only_the_account {
            Applies::ToTheAccount
        } else {
            Applies::Yes
        };
        let sid = self.sid.as_deref().map(str::to_owned);
        StatementTrace { index, sid, effect: self.effect, applies, names_only_the_account, elements }
    }
}

impl Element<'_> {
    fn trace(
        &self,
        statement: &Statement,
        request: &PolicyRequest<'_>,
    ) -> Result<ElementTrace, EvaluationError> {
        let matched = self.matches(statement, request, request.known_action()?)?;
        let (element, expected, actual) = self.describe(statement, request)?;
        let note = match self {
            Self::Condition(condition) => condition.note(matched, statement.effect, request)?,
            Self::Principal if matched && statement.reach(request.caller) == Reach::Account => {
                Some(match statement.effect {
                    Effect::Allow => "it names the caller's account, whose identity policies then decide",
                    Effect::Deny => "it names the caller's account, and with it everyone in it",
                })
            }
            Self::Action | Self::Principal | Self::Resource => None,
        };
        Ok(ElementTrace {
            element: shorten(&element),
            matched,
            expected: shorten(&expected),
            actual: shorten(&actual),
            note: note.map(str::to_owned),
        })
    }
}

impl Condition {
    /// What makes the condition's outcome a surprise, if something does.
    fn note(
        &self,
        matched: bool,
        effect: Effect,
        request: &PolicyRequest<'_>,
    ) -> Result<Option<&'static str>, EvaluationError> {
        if self.operator.comparison == Comparison::Null {
            return Ok(None);
        }
        let is_absent = matches!(request.values(&self.key)?, ContextValues::Absent);
        Ok(match (is_absent, matched) {
            (true, true) => Some("the request has no value for this key, and the operator is then true"),
            (true, false) => Some("the request has no value for this key"),
            (false, false) if effect == Effect::Allow && !self.has_every_value(request)? => {
                Some("a variable in it has no value for this request")
            }
            (false, _) => None,
        })
    }
}

impl ElementTrace {
    fn failed(element: &Element<'_>, error: &EvaluationError) -> Self {
        let name = match element {
            Element::Action => "Action".to_owned(),
            Element::Principal => "Principal".to_owned(),
            Element::Resource => "Resource".to_owned(),
            Element::Condition(condition) => format!("Condition.{}.{}", condition.operator, condition.key),
        };
        Self {
            element: shorten(&name),
            matched: false,
            expected: "an answer".to_owned(),
            actual: error.to_string(),
            note: Some("an evaluation that fails denies".to_owned()),
        }
    }
}
