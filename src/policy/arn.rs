//! Amazon Resource Names: six colon-separated segments, of which the last may hold further colons.
//!
//! `arn:partition:service:region:account:resource` (AWS General Reference, "Amazon Resource Names").

use std::fmt;

use super::pattern::Pattern;

const SEGMENTS: usize = 6;

/// The segments of a full ARN; `None` when the text is none.
pub(super) fn segments(text: &str) -> Option<[&str; SEGMENTS]> {
    let mut parts = text.splitn(SEGMENTS, ':');
    let segments = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    (segments.first() == Some(&"arn")).then_some(segments)
}

/// An ARN whose segments are patterns, each matched against the segment in its own place, so that a wildcard never
/// reaches over a colon, except inside the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArnPattern {
    source: Box<str>,
    /// All but the literal `arn`.
    segments: Box<[Pattern; SEGMENTS - 1]>,
}

impl ArnPattern {
    /// Compiles a full ARN; `None` when the text has fewer than six segments or does not start with `arn:`.
    pub(super) fn parse(source: &str) -> Option<Self> {
        let [_, partition, service, region, account, resource] = segments(source)?;
        let segments = [partition, service, region, account, resource].map(Pattern::new);
        Some(Self { source: source.into(), segments: Box::new(segments) })
    }

    /// The pattern of the service segment.
    pub(super) fn service(&self) -> &Pattern {
        let [_, service, ..] = &*self.segments;
        service
    }

    /// Whether `text` is an ARN and each of its segments matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        segments(text).is_some_and(|[_, found @ ..]| {
            self.segments.iter().zip(found).all(|(pattern, segment)| pattern.matches(segment))
        })
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

    #[test]
    fn wildcards_stay_inside_their_segment() {
        let pattern = ArnPattern::parse("arn:aws:kms:*:111122223333:key/*").unwrap();
        assert!(pattern.matches("arn:aws:kms:eu-central-1:111122223333:key/a:b"));
        assert!(!pattern.matches("arn:aws:kms:eu-central-1:x:111122223333:key/a"));
        assert!(!pattern.matches("arn:aws:kms:eu-central-1:444455556666:key/a"));
        assert!(!pattern.matches("arn:aws:kms:eu-central-1"));
        assert_eq!(ArnPattern::parse("arn:aws:kms:*"), None);
        assert_eq!(ArnPattern::parse("*:aws:kms:*:*:*"), None);
    }
}
