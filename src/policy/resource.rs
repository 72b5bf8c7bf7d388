//! The `Resource` and `NotResource` elements.

use std::fmt;

use super::arn::ArnPattern;
use super::document::Version;
use super::error::{PolicyError, Problem};
use super::evaluate::{EvaluationError, PolicyRequest};
use super::json::{ErrorAt, PolicyValue};
use super::pattern::MAX_PATTERN_BYTES;
use super::statement::Effect;
use crate::json::{Json, Path};
use crate::text::shorten;

/// What a statement is about.
#[derive(Clone, Debug)]
pub(super) struct ResourceElement {
    /// `NotResource`: everything but these.
    pub(super) negated: bool,
    pub(super) any_of: Box<[Resource]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Any,
    Arn(ArnPattern),
}

impl ResourceElement {
    /// Reads `*` or ARNs, one or an array; of KMS only where the statement `is_about_kms_alone`.
    pub(super) fn parse(
        json: &Json,
        path: &Path<'_>,
        negated: bool,
        version: Version,
        is_about_kms_alone: bool,
    ) -> Result<Self, PolicyError> {
        let mut any_of = Vec::new();
        json.each_string(path, |text, path| {
            if text.len() > MAX_PATTERN_BYTES {
                return Err(path.error(Problem::PatternTooLong { bytes: text.len() }));
            }
            let resource = match version.template(text, path)? {
                Some(template) => ArnPattern::parse_template(&template).map(Resource::Arn),
                None => Resource::parse(text),
            };
            let resource = resource.filter(|resource| !is_about_kms_alone || resource.is_of_kms());
            any_of.push(resource.ok_or_else(|| {
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

    /// Reads the resources of a statement that is about other services only: whatever they are, nothing here is one.
    pub(super) fn of_other_services(json: &Json, path: &Path<'_>) -> Result<Self, PolicyError> {
        json.each_string(path, |_, _| Ok(()))?;
        Ok(Self { negated: false, any_of: Box::default() })
    }

    /// Whether it is about the request's resource. A variable without value matches nothing; where a statement that
    /// allows is about everything but what it names, that is not known then, and it is about nothing.
    pub(super) fn matches(
        &self,
        request: &PolicyRequest<'_>,
        effect: Effect,
    ) -> Result<bool, EvaluationError> {
        let mut is_known = true;
        for resource in &self.any_of {
            match resource.matches(request)? {
                Some(true) => return Ok(!self.negated),
                Some(false) => {}
                None => is_known = false,
            }
        }
        Ok(self.negated && (is_known || effect == Effect::Deny))
    }
}

impl Resource {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        ArnPattern::parse(text).map(Self::Arn)
    }

    fn is_of_kms(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Arn(arn) => arn.is_of_service("kms"),
        }
    }

    fn matches(&self, request: &PolicyRequest<'_>) -> Result<Option<bool>, EvaluationError> {
        match self {
            Self::Any => Ok(Some(true)),
            Self::Arn(pattern) => pattern.matches(request.resource, request),
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
