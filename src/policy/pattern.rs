//! The `*` and `?` wildcards of IAM policies.

/// Longest pattern taken in conditions and resources, in bytes: no identifier of KMS is longer (the model's `KeyIdType`).
/// It bounds the price of a `?`.
pub(super) const MAX_PATTERN_BYTES: usize = 2048;

/// A compiled wildcard pattern: `*` stands for any run of characters, also none, and `?` for exactly one character
/// (a Unicode scalar value). Nothing escapes a wildcard, as in IAM.
///
/// Matching never backtracks over a `*`: the pattern is cut at its stars, and each piece takes the leftmost place that
/// fits. A piece without `?` is found by a linear search; a piece with `?` costs at most its own length for each
/// character of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    source: Box<str>,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// No wildcard: the source itself.
    Exact,
    /// Only stars.
    Anything,
    /// `?` but no star: one piece that must cover the whole text.
    Whole(Piece),
    /// At least one star: a prefix (may be empty), pieces in order, a suffix (may be empty).
    Starred { prefix: Piece, inner: Box<[Piece]>, suffix: Piece },
}

impl Pattern {
    /// Compiles `source`; every string is a pattern.
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), form: Form::compile(source) }
    }

    /// Whether the pattern covers the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        match &self.form {
            Form::Exact => *self.source == *text,
            Form::Anything => true,
            Form::Whole(piece) => piece.strip_from_start(text) == Some(""),
            Form::Starred { prefix, inner, suffix } => {
                let Some(mut rest) = prefix.strip_from_start(text) else { return false };
                for piece in inner {
                    match piece.skip_past_first(rest) {
                        Some(after) => rest = after,
                        None => return false,
                    }
                }
                suffix.ends(rest)
            }
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl Form {
    fn compile(source: &str) -> Self {
        let Some((prefix, after_first_star)) = source.split_once('*') else {
            return if source.contains('?') { Self::Whole(Piece::new(source)) } else { Self::Exact };
        };
        let (between, suffix) = after_first_star.rsplit_once('*').unwrap_or(("", after_first_star));
        let inner: Box<[Piece]> =
            between.split('*').filter(|piece| !piece.is_empty()).map(Piece::new).collect();
        if prefix.is_empty() && inner.is_empty() && suffix.is_empty() {
            return Self::Anything;
        }
        Self::Starred { prefix: Piece::new(prefix), inner, suffix: Piece::new(suffix) }
    }
}

/// A part of a pattern between two stars.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: Box<str>,
    has_single_wildcard: bool,
}

impl Piece {
    fn new(text: &str) -> Self {
        Self { text: text.into(), has_single_wildcard: text.contains('?') }
    }

    /// What follows the piece when `text` starts with it.
    fn strip_from_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        if !self.has_single_wildcard {
            return text.strip_prefix(&*self.text);
        }
        let mut rest = text.chars();
        for wanted in self.text.chars() {
            let found = rest.next()?;
            if wanted != '?' && wanted != found {
                return None;
            }
        }
        Some(rest.as_str())
    }

    /// What follows the leftmost occurrence of the piece in `text`.
    fn skip_past_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        if !self.has_single_wildcard {
            return text.split_once(&*self.text).map(|(_, after)| after);
        }
        let mut from = text;
        loop {
            if let Some(after) = self.strip_from_start(from) {
                return Some(after);
            }
            let mut chars = from.chars();
            chars.next()?;
            from = chars.as_str();
        }
    }

    /// Whether `text` ends with the piece.
    fn ends(&self, text: &str) -> bool {
        if !self.has_single_wildcard {
            return text.ends_with(&*self.text);
        }
        let mut rest = text.chars();
        self.text
            .chars()
            .rev()
            .all(|wanted| rest.next_back().is_some_and(|found| wanted == '?' || wanted == found))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use proptest::prelude::*;

    /// The definition, with no thought for speed.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            ['?', rest @ ..] => !text.is_empty() && naive(rest, &text[1..]),
            [wanted, rest @ ..] => text.first() == Some(wanted) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn agrees_with_the_definition(pattern in "[abé*?]{0,9}", text in "[abé]{0,12}") {
            let chars: Vec<char> = pattern.chars().collect();
            let expected = naive(&chars, &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), expected);
        }

        #[test]
        fn a_text_with_parts_replaced_by_wildcards_still_matches(text in "\\PC{0,40}", cut in 0usize..40, len in 0usize..40) {
            let chars: Vec<char> = text.chars().filter(|c| !matches!(c, '*' | '?')).collect();
            let text: String = chars.iter().collect();
            let (cut, end) = (cut.min(chars.len()), (cut.min(chars.len()) + len).min(chars.len()));
            let head: String = chars[..cut].iter().collect();
            let tail: String = chars[end..].iter().collect();
            let starred = format!("{head}*{tail}");
            let questioned = format!("{head}{}{tail}", "?".repeat(end - cut));
            prop_assert!(Pattern::new(&starred).matches(&text));
            prop_assert!(Pattern::new(&questioned).matches(&text));
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = Pattern::new(&"*a".repeat(200));
        let text = "a".repeat(8191) + "b";
        let started = std::time::Instant::now();
        assert!(!pattern.matches(&text));
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    }
}
