//! The policy document and its statements.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::action::ActionElement;
use super::arn::ArnPattern;
use super::condition::Condition;
use super::error::{PolicyError, Problem};
use super::json::{self, ErrorAt, PolicyValue};
use super::pattern::MAX_PATTERN_BYTES;
use super::principal::PrincipalElement;
use crate::json::{Json, Path};
use crate::text::shorten;

/// Longest key policy, in bytes (KMS quota; the model's `PolicyType`).
pub const MAX_POLICY_BYTES: usize = 32_768;

/// A key policy that has passed every check, with its text.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    text: Box<str>,
    id: Option<Box<str>>,
    pub(super) statements: Box<[Statement]>,
}

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub(super) principals: PrincipalElement,
    pub(super) actions: ActionElement,
    pub(super) resources: ResourceElement,
    pub(super) conditions: Box<[Condition]>,
}

/// The `Resource` and `NotResource` elements.
#[derive(Clone, Debug)]
pub(super) struct ResourceElement {
    /// `NotResource`: every key but these.
    pub(super) negated: bool,
    pub(super) any_of: Box<[Resource]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Any,
    Arn(ArnPattern),
}

/// The two versions of the policy language; only the later one has policy variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V2008,
    V2012,
}

impl KeyPolicy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// [`PolicyError`] names the first place that is not understood, or that could never take effect as written.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let root = Path::ROOT;
        if text.len() > MAX_POLICY_BYTES {
            return Err(root.error(Problem::TooLarge { bytes: text.len() }));
        }
        let json = json::parse(text)?;
        let (mut version, mut id, mut statements) = (Version::V2008, None, None);
        for (name, value) in json.non_empty_object(&root)? {
            let path = root.field(name);
            match name.as_str() {
                "Version" => version = Version::parse(value, &path)?,
                "Id" => id = Some(value.string(&path)?.into()),
                "Statement" => statements = Some(value),
                _ => return Err(root.error(Problem::UnknownElement { name: shorten(name) })),
            }
        }
        let missing = || root.error(Problem::MissingElement { name: "Statement" });
        let statements = Statement::parse_all(statements.ok_or_else(missing)?, version)?;
        Ok(Self { text: text.into(), id, statements: statements.into() })
    }

    /// The document as it was put, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document's `Id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl Version {
    fn parse(json: &Json, path: &Path<'_>) -> Result<Self, PolicyError> {
        match json.string(path)? {
            "2008-10-17" => Ok(Self::V2008),
            "2012-10-17" => Ok(Self::V2012),
            other => {
                let expected = "\"2012-10-17\" or \"2008-10-17\"";
                Err(path.error(Problem::Value { expected, actual: shorten(other) }))
            }
        }
    }

    /// Refuses policy variables where the version has them; before, `${` stands for itself.
    fn check_text(self, text: &str, path: &Path<'_>) -> Result<(), PolicyError> {
        match self {
            Self::V2012 if text.contains("${") => {
                Err(path.error(Problem::PolicyVariable { actual: shorten(text) }))
            }
            Self::V2008 | Self::V2012 => Ok(()),
        }
    }
}

impl Statement {
    fn parse_all(json: &Json, version: Version) -> Result<Vec<Self>, PolicyError> {
        let mut statements: Vec<Self> = Vec::new();
        let mut sids = HashSet::new();
        json.each(&Path::ROOT.field("Statement"), |json, path| {
            let statement = Self::parse(json, path, version)?;
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

    fn parse(json: &Json, path: &Path<'_>, version: Version) -> Result<Self, PolicyError> {
        let (mut sid, mut effect, mut conditions) = (None, None, Vec::new());
        let (mut principals, mut actions, mut resources) = (
            OneOf::new("Principal", "NotPrincipal", "Principal or NotPrincipal"),
            OneOf::new("Action", "NotAction", "Action or NotAction"),
            OneOf::new("Resource", "NotResource", "Resource or NotResource"),
        );
        for (name, value) in json.non_empty_object(path)? {
            let at = path.field(name);
            match name.as_str() {
                "Sid" => sid = Some(value.string(&at)?).filter(|sid| !sid.is_empty()).map(Arc::from),
                "Effect" => effect = Some(Effect::parse(value, &at)?),
                "Principal" => principals.set(path, PrincipalElement::parse(value, &at, false)?)?,
                "NotPrincipal" => principals.set(path, PrincipalElement::parse(value, &at, true)?)?,
                "Action" => actions.set(path, ActionElement::parse(value, &at, false)?)?,
                "NotAction" => actions.set(path, ActionElement::parse(value, &at, true)?)?,
                "Resource" => resources.set(path, ResourceElement::parse(value, &at, false, version)?)?,
                "NotResource" => resources.set(path, ResourceElement::parse(value, &at, true, version)?)?,
                "Condition" => {
                    conditions =
                        Condition::parse_all(value, &at, |text, path| version.check_text(text, path))?;
                }
                _ => return Err(path.error(Problem::UnknownElement { name: shorten(name) })),
            }
        }
        let effect = effect.ok_or_else(|| path.error(Problem::MissingElement { name: "Effect" }))?;
        let principals = principals.required(path)?;
        if principals.negated && effect == Effect::Allow {
            return Err(path.field("NotPrincipal").error(Problem::NotPrincipalWithAllow));
        }
        Ok(Self {
            sid,
            effect,
            principals,
            actions: actions.required(path)?,
            resources: resources.required(path)?,
            conditions: conditions.into(),
        })
    }
}

/// An element that stands in a statement exactly once, under its own name or its negation's.
struct OneOf<T> {
    positive: &'static str,
    negative: &'static str,
    either: &'static str,
    element: Option<T>,
}

impl<T> OneOf<T> {
    fn new(positive: &'static str, negative: &'static str, either: &'static str) -> Self {
        Self { positive, negative, either, element: None }
    }

    fn set(&mut self, path: &Path<'_>, element: T) -> Result<(), PolicyError> {
        match self.element.replace(element) {
            None => Ok(()),
            Some(_) => {
                Err(path.error(Problem::ConflictingElements { first: self.positive, second: self.negative }))
            }
        }
    }

    fn required(self, path: &Path<'_>) -> Result<T, PolicyError> {
        self.element.ok_or_else(|| path.error(Problem::MissingElement { name: self.either }))
    }
}

impl Effect {
    fn parse(json: &Json, path: &Path<'_>) -> Result<Self, PolicyError> {
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

impl ResourceElement {
    fn parse(json: &Json, path: &Path<'_>, negated: bool, version: Version) -> Result<Self, PolicyError> {
        let mut any_of = Vec::new();
        json.each_string(path, |text, path| {
            version.check_text(text, path)?;
            if text.len() > MAX_PATTERN_BYTES {
                return Err(path.error(Problem::PatternTooLong { bytes: text.len() }));
            }
            any_of.push(Resource::parse(text).ok_or_else(|| {
                let expected = "\"*\" or a KMS ARN such as arn:aws:kms:eu-central-1:111122223333:key/…";
                path.error(Problem::Value { expected, actual: shorten(text) })
            })?);
            Ok(())
        })?;
        if negated && any_of.contains(&Resource::Any) {
            return Err(path.error(Problem::NeverApplies));
        }
        Ok(Self { negated, any_of: any_of.into() })
    }

    pub(super) fn matches(&self, key_arn: &str) -> bool {
        self.any_of.iter().any(|resource| resource.matches(key_arn)) != self.negated
    }
}

impl Resource {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        ArnPattern::parse(text).filter(|arn| arn.service().as_str() == "kms").map(Self::Arn)
    }

    fn matches(&self, key_arn: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Arn(pattern) => pattern.matches(key_arn),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Arn(pattern) => pattern.fmt(f),
        }
    }
}
