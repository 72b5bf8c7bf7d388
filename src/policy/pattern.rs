//! The `*` and `?` wildcards of IAM policies.

/// Longest pattern taken in conditions and resources, in bytes: no identifier of KMS is longer (the model's `KeyIdType`).
/// It bounds the price of a `?`.
pub(super) const MAX_PATTERN_BYTES: usize = 2048;

/// A compiled wildcard pattern: `*` stands for any run of characters, also none, and `?` for exactly one character
/// (a Unicode scalar value). Nothing in a text escapes a wildcard, as in IAM.
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
    /// Only stars.
    Anything,
    /// No star: one piece that must cover the whole text.
    Whole(Piece),
    /// At least one star: a prefix (may be empty), pieces in order, a suffix (may be empty).
    Starred { prefix: Piece, inner: Box<[Piece]>, suffix: Piece },
}

/// A pattern put together from texts with wildcards and texts without any.
pub(super) struct PatternBuilder {
    source: String,
    /// Between the stars; `None` is any one character. Never empty.
    pieces: Vec<Vec<Option<char>>>,
}

impl Pattern {
    /// Compiles `source`; every string is a pattern.
    pub fn new(source: &str) -> Self {
        let mut builder = Self::builder();
        builder.text(source);
        builder.finish()
    }

    /// The pattern of the empty text, to be made longer.
    pub(super) fn builder() -> PatternBuilder {
        PatternBuilder { source: String::new(), pieces: vec![Vec::new()] }
    }

    /// Whether the pattern covers the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        match &self.form {
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

impl PatternBuilder {
    /// Adds a text in which `*` and `?` are wildcards.
    pub(super) fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '*' => self.pieces.push(Vec::new()),
                '?' => self.push(None),
                literal => self.push(Some(literal)),
            }
        }
        self.source.push_str(text);
    }

    /// Adds a text in which they are characters like others.
    pub(super) fn literal(&mut self, text: &str) {
        text.chars().for_each(|character| self.push(Some(character)));
        self.source.push_str(text);
    }

    pub(super) fn finish(self) -> Pattern {
        let mut pieces = self.pieces.into_iter().map(Piece::new);
        let prefix = pieces.next().unwrap_or_default();
        let form = match pieces.next_back() {
            None => Form::Whole(prefix),
            Some(suffix) => {
                let inner: Box<[Piece]> = pieces.filter(|piece| !piece.is_empty()).collect();
                if prefix.is_empty() && inner.is_empty() && suffix.is_empty() {
                    Form::Anything
                } else {
                    Form::Starred { prefix, inner, suffix }
                }
            }
        };
        Pattern { source: self.source.into(), form }
    }

    fn push(&mut self, character: Option<char>) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(character);
        }
    }
}

/// A part of a pattern between two stars.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// With places, `None`, that any character takes.
    Wild(Box<[Option<char>]>),
}

impl Default for Piece {
    fn default() -> Self {
        Self::Literal(Box::default())
    }
}

impl Piece {
    fn new(characters: Vec<Option<char>>) -> Self {
        match characters.iter().copied().collect::<Option<String>>() {
            Some(literal) => Self::Literal(literal.into()),
            None => Self::Wild(characters.into()),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Literal(text) if text.is_empty())
    }

    /// What follows the piece when `text` starts with it.
    fn strip_from_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Literal(literal) => text.strip_prefix(&**literal),
            Self::Wild(wanted) => {
                let mut rest = text.chars();
                for wanted in wanted {
                    let found = rest.next()?;
                    if wanted.is_some_and(|wanted| wanted != found) {
                        return None;
                    }
                }
                Some(rest.as_str())
            }
        }
    }

    /// What follows the leftmost occurrence of the piece in `text`.
    fn skip_past_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        if let Self::Literal(literal) = self {
            return text.split_once(&**literal).map(|(_, after)| after);
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
        match self {
            Self::Literal(literal) => text.ends_with(&**literal),
            Self::Wild(wanted) => {
                let mut rest = text.chars();
                wanted.iter().rev().all(|wanted| {
                    rest.next_back().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
                })
            }
        }
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

    proptest! {
        /// A literal part matches itself and nothing else, whatever is in it.
        #[test]
        fn a_literal_part_is_no_pattern(before in "[a*?]{0,4}", literal in "[ab*?]{1,4}", text in "[ab*?]{0,10}") {
            let mut builder = Pattern::builder();
            builder.text(&before);
            builder.literal(&literal);
            let pattern = builder.finish();
            let expected = text.strip_suffix(&literal).is_some_and(|start| Pattern::new(&before).matches(start));
            prop_assert_eq!(pattern.matches(&text), expected);
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
