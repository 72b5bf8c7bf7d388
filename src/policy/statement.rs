//! The statements of a policy.

use std::collections::HashSet;
use std::sync::Arc;

use super::action::ActionElement;
use super::condition::Condition;
use super::document::{Grammar, Version};
use super::error::{PolicyError, Problem};
use super::json::{ErrorAt, PolicyValue};
use super::principal::{PrincipalElement, Reach};
use super::resource::ResourceElement;
use crate::json::{Json, Path};
use crate::text::shorten;

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Effect {
    /// Grants, unless some other statement denies.
    Allow,
    /// Denies, whatever other statements grant.
    Deny,
}

/// One statement; it applies when its principal, action, resource and every condition match.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sid: Option<Arc<str>>,
    pub(super) effect: Effect,
    /// `None` in an identity policy, which speaks of whom it is attached to.
    pub(super) principals: Option<PrincipalElement>,
    pub(super) actions: ActionElement,
    pub(super) resources: ResourceElement,
    pub(super) conditions: Box<[Condition]>,
}

impl Statement {
    pub(super) fn parse_all(
        json: &Json,
        version: Version,
        grammar: Grammar,
    ) -> Result<Vec<Self>, PolicyError> {
        let mut statements: Vec<Self> = Vec::new();
        let mut sids = HashSet::new();
        json.each(&Path::ROOT.field("Statement"), |json, path| {
            let statement = Elements::read(json, path)?.parse(path, version, grammar)?;
            if let Some(sid) = &statement.sid
                && !sids.insert(Arc::clone(sid))
            {
                return Err(path.field("Sid").error(Problem::DuplicateSid { sid: shorten(sid) }));
            }
            statements.push(statement);
            Ok(())
        })?;
        Ok(statements)
    }

    /// How far the statement speaks of the caller.
    pub(super) fn reach(&self, caller: &super::caller::Caller) -> Reach {
        self.principals.as_ref().map_or(Reach::Caller, |principals| principals.reach(caller))
    }
}

/// The elements of a statement, each still JSON: what some may hold depends on what others say.
struct Elements<'j> {
    sid: Option<&'j str>,
    effect: Option<Effect>,
    principals: OneOf<'j>,
    actions: OneOf<'j>,
    resources: OneOf<'j>,
    condition: Option<&'j Json>,
}

impl<'j> Elements<'j> {
    fn read(json: &'j Json, path: &Path<'_>) -> Result<Self, PolicyError> {
        let mut elements = Self {
            sid: None,
            effect: None,
            principals: OneOf::new("Principal", "NotPrincipal", "Principal or NotPrincipal"),
            actions: OneOf::new("Action", "NotAction", "Action or NotAction"),
            resources: OneOf::new("Resource", "NotResource", "Resource or NotResource"),
            condition: None,
        };
        for (name, value) in json.non_empty_object(path)? {
            let at = path.field(name);
            match name.as_str() {
                "Sid" => elements.sid = Some(value.string(&at)?).filter(|sid| !sid.is_empty()),
                "Effect" => elements.effect = Some(Effect::parse(value, &at)?),
                "Principal" | "NotPrincipal" => elements.principals.set(name, value, path)?,
                "Action" | "NotAction" => elements.actions.set(name, value, path)?,
                "Resource" | "NotResource" => elements.resources.set(name, value, path)?,
                "Condition" => elements.condition = Some(value),
                _ => return Err(path.error(Problem::UnknownElement { name: shorten(name) })),
            }
        }
        Ok(elements)
    }

    fn parse(self, path: &Path<'_>, version: Version, grammar: Grammar) -> Result<Statement, PolicyError> {
        let effect = self.effect.ok_or_else(|| path.error(Problem::MissingElement { name: "Effect" }))?;
        let principals = self.principals(path, effect, grammar)?;
        let (actions, at, negated) = self.actions.required(path)?;
        let actions = ActionElement::parse(actions, &at, negated, grammar)?;
        let (resources, at, negated) = self.resources.required(path)?;
        let resources = if actions.is_about_other_services() {
            ResourceElement::of_other_services(resources, &at)?
        } else {
            let is_about_kms_alone = grammar == Grammar::KeyPolicy || actions.is_about_kms_alone();
            ResourceElement::parse(resources, &at, negated, version, is_about_kms_alone)?
        };
        let conditions = match self.condition {
            Some(condition) if actions.is_about_other_services() => {
                // Of other services' operators and keys; they are never asked.
                condition.non_empty_object(&path.field("Condition"))?;
                Vec::new()
            }
            Some(condition) => Condition::parse_all(condition, &path.field("Condition"), version)?,
            None => Vec::new(),
        };
        let sid = self.sid.map(Arc::from);
        Ok(Statement { sid, effect, principals, actions, resources, conditions: conditions.into() })
    }

    fn principals(
        &self,
        path: &Path<'_>,
        effect: Effect,
        grammar: Grammar,
    ) -> Result<Option<PrincipalElement>, PolicyError> {
        match (grammar, self.principals.element) {
            (Grammar::IdentityPolicy, None) => Ok(None),
            (Grammar::IdentityPolicy, Some((name, _))) => {
                Err(path.field(name).error(Problem::PrincipalInIdentityPolicy))
            }
            (Grammar::KeyPolicy, _) => {
                let (principals, at, negated) = self.principals.required(path)?;
                let principals = PrincipalElement::parse(principals, &at, negated)?;
                if negated && effect == Effect::Allow {
                    return Err(at.error(Problem::NotPrincipalWithAllow));
                }
                Ok(Some(principals))
            }
        }
    }
}

/// An element that stands in a statement exactly once, under its own name or its negation's.
struct OneOf<'j> {
    positive: &'static str,
    negative: &'static str,
    either: &'static str,
    element: Option<(&'static str, &'j Json)>,
}

impl<'j> OneOf<'j> {
    fn new(positive: &'static str, negative: &'static str, either: &'static str) -> Self {
        Self { positive, negative, either, element: None }
    }

    fn set(&mut self, name: &str, json: &'j Json, path: &Path<'_>) -> Result<(), PolicyError> {
        let name = if name == self.positive { self.positive } else { self.negative };
        match self.element.replace((name, json)) {
            None => Ok(()),
            Some(_) => {
                Err(path.error(Problem::ConflictingElements { first: self.positive, second: self.negative }))
            }
        }
    }

    /// The element, its place, and whether it is the negation.
    fn required<'p>(&self, path: &'p Path<'p>) -> Result<(&'j Json, Path<'p>, bool), PolicyError> {
        let (name, json) =
            self.element.ok_or_else(|| path.error(Problem::MissingElement { name: self.either }))?;
        Ok((json, path.field(name), name == self.negative))
    }
}

impl Effect {
    pub(super) fn parse(json: &Json, path: &Path<'_>) -> Result<Self, PolicyError> {
        match json.string(path)? {
            "Allow" => Ok(Self::Allow),
            "Deny" => Ok(Self::Deny),
            other => {
                let expected = "\"Allow\" or \"Deny\"";
                Err(path.error(Problem::Value { expected, actual: shorten(other) }))
            }
        }
    }
}
