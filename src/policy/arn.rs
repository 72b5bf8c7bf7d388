//! Amazon Resource Names: six colon-separated segments, of which the last may hold further colons.
//!
//! `arn:partition:service:region:account:resource` (AWS General Reference, "Amazon Resource Names").

use std::fmt;

use super::evaluate::{EvaluationError, PolicyRequest};
use super::pattern::Pattern;
use super::template::Template;

const SEGMENTS: usize = 6;

/// The segments of a full ARN; `None` when the text is none.
pub(super) fn segments(text: &str) -> Option<[&str; SEGMENTS]> {
    let mut parts = text.splitn(SEGMENTS, ':');
    let segments = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    (segments.first() == Some(&"arn")).then_some(segments)
}

/// An ARN whose segments are patterns, each matched against the segment in its own place, so that neither a wildcard nor a
/// variable's value ever reaches over a colon, except inside the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArnPattern {
    source: Box<str>,
    /// All but the literal `arn`.
    segments: Box<[Segment; SEGMENTS - 1]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Pattern(Pattern),
    Template(Template),
}

impl ArnPattern {
    /// Compiles a full ARN; `None` when the text has fewer than six segments or does not start with `arn:`.
    pub(super) fn parse(source: &str) -> Option<Self> {
        let [_, partition, service, region, account, resource] = segments(source)?;
        let segments =
            [partition, service, region, account, resource].map(Pattern::new).map(Segment::Pattern);
        Some(Self { source: source.into(), segments: Box::new(segments) })
    }

    /// As [`ArnPattern::parse`], with variables inside the segments.
    pub(super) fn parse_template(template: &Template) -> Option<Self> {
        let [scheme, segments @ ..]: [Template; SEGMENTS] =
            template.split_at_colons(SEGMENTS).try_into().ok()?;
        if scheme.as_plain_text() != Some("arn") {
            return None;
        }
        let segments = segments.map(|segment| match segment.as_plain_text() {
            Some(text) => Segment::Pattern(Pattern::new(text)),
            None => Segment::Template(segment),
        });
        Some(Self { source: template.to_string().into(), segments: Box::new(segments) })
    }

    /// Whether the service is this one, without wildcards or variables.
    pub(super) fn is_of_service(&self, name: &str) -> bool {
        let [_, service, ..] = &*self.segments;
        matches!(service, Segment::Pattern(pattern) if pattern.as_str() == name)
    }

    /// Whether `text` is an ARN and each of its segments matches; `None` when a variable has no value.
    pub(super) fn matches(
        &self,
        text: &str,
        request: &PolicyRequest<'_>,
    ) -> Result<Option<bool>, EvaluationError> {
        let Some([_, found @ ..]) = segments(text) else { return Ok(Some(false)) };
        let mut all_match = true;
        for (segment, found) in self.segments.iter().zip(found) {
            all_match &= match segment {
                Segment::Pattern(pattern) => pattern.matches(found),
                Segment::Template(template) => match template.pattern(request)? {
                    Some(pattern) => pattern.matches(found),
                    None => return Ok(None),
                },
            };
        }
        Ok(Some(all_match))
    }

    /// Whether every variable in it has a value.
    pub(super) fn has_value(&self, request: &PolicyRequest<'_>) -> Result<bool, EvaluationError> {
        for segment in &*self.segments {
            if let Segment::Template(template) = segment
                && template.text(request)?.is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl fmt::Display for ArnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::ArnPattern;
    use crate::policy::{Caller, ConditionKey, ContextValues, PolicyRequest, RequestContext};

    struct NoContext;

    impl RequestContext for NoContext {
        fn values(&self, _: &ConditionKey) -> ContextValues<'_> {
            ContextValues::Absent
        }
    }

    #[test]
    fn wildcards_stay_inside_their_segment() {
        let pattern = ArnPattern::parse("arn:aws:kms:*:111122223333:key/*").unwrap();
        let request = PolicyRequest {
            caller: &Caller::Anonymous,
            action: "kms:Decrypt",
            resource: "*",
            context: &NoContext,
        };
        let matches = |text| pattern.matches(text, &request).unwrap() == Some(true);
        assert!(matches("arn:aws:kms:eu-central-1:111122223333:key/a:b"));
        assert!(!matches("arn:aws:kms:eu-central-1:x:111122223333:key/a"));
        assert!(!matches("arn:aws:kms:eu-central-1:444455556666:key/a"));
        assert!(!matches("arn:aws:kms:eu-central-1"));
        assert_eq!(ArnPattern::parse("arn:aws:kms:*"), None);
        assert_eq!(ArnPattern::parse("*:aws:kms:*:*:*"), None);
    }
}
