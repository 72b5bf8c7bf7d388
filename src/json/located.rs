//! JSON with the place of every value, for whoever has to point at one.
//!
//! Unlike [`Json::parse`], a name that is repeated in an object is kept: pointing at it is what this is for.

use std::ops::Range;

use super::{Json, JsonError, Path};

/// Bytes of a text, from the first to the one behind the last.
pub type Span = Range<usize>;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Its bytes in the text.
    pub span: Span,
    /// What it is.
    pub value: LocatedValue,
}

/// A value whose parts know where they stand.
#[derive(Clone, Debug, PartialEq)]
pub enum LocatedValue {
    /// `null`, a boolean, a number or a string.
    Scalar(Json),
    /// An array.
    Array(Vec<Located>),
    /// An object, its members in the order of the text.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The name.
    pub name: String,
    /// Where the name stands, with its quotes.
    pub name_span: Span,
    /// The value.
    pub value: Located,
}

impl Located {
    /// Reads the whole text as one value, under the limits of [`Json::parse`].
    ///
    /// # Errors
    /// When it is not JSON, something follows it, or it has too many values.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        // Depth, count and syntax are judged by the one parser; the scan below only finds places in what it took.
        Json::parse_with_repeated_names(text.as_bytes())?;
        let mut scan = Scan { text, at: 0 };
        scan.value().ok_or_else(|| {
            let (line, column) = line_and_column(text, scan.at);
            JsonError::Syntax { line, column, problem: "the value has no place".to_owned() }
        })
    }

    /// The value without places; of a repeated name every member is kept.
    pub fn to_json(&self) -> Json {
        match &self.value {
            LocatedValue::Scalar(json) => json.clone(),
            LocatedValue::Array(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            LocatedValue::Object(members) => Json::Object(
                members.iter().map(|member| (member.name.clone(), member.value.to_json())).collect(),
            ),
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            LocatedValue::Scalar(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn members(&self) -> Option<&[Member]> {
        match &self.value {
            LocatedValue::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of an array, or the value itself when it is none: how policies write one or several.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            LocatedValue::Array(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Finds the value that a [`Path`] shows as `path`; the empty path is the whole text.
    pub fn find(&self, path: &str) -> Option<&Self> {
        self.find_below(path, true)
    }

    fn find_below(&self, path: &str, is_root: bool) -> Option<&Self> {
        if path.is_empty() {
            return Some(self);
        }
        match &self.value {
            LocatedValue::Scalar(_) => None,
            LocatedValue::Array(items) => (0..).zip(items).find_map(|(at, item)| {
                item.find_below(path.strip_prefix(&Path::ROOT.index(at).to_string())?, false)
            }),
            LocatedValue::Object(members) => members.iter().find_map(|member| {
                let step = Path::ROOT.field(&member.name).to_string();
                let path = if is_root || step.starts_with('[') { path } else { path.strip_prefix('.')? };
                member.value.find_below(path.strip_prefix(&step)?, false)
            }),
        }
    }
}

/// Line and column of a byte, both from 1; a column is a character (a Unicode scalar value).
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(at.min(text.len()))).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
    let column = before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1);
    (line, column)
}

/// Walks over a text that is known to be JSON.
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn value(&mut self) -> Option<Located> {
        self.skip_white_space();
        let start = self.at;
        let value = match self.peek()? {
            b'{' => LocatedValue::Object(self.list(b'}', Self::member)?),
            b'[' => LocatedValue::Array(self.list(b']', Self::value)?),
            b'"' => LocatedValue::Scalar(Json::String(self.string()?)),
            _ => LocatedValue::Scalar(self.word()?),
        };
        Some(Located { span: start..self.at, value })
    }

    /// What stands between this opening bracket and `end`, separated by commas.
    fn list<T>(&mut self, end: u8, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.step(1);
        self.skip_white_space();
        while self.peek()? != end {
            items.push(item(self)?);
            self.skip_white_space();
            if self.peek()? == b',' {
                self.step(1);
                self.skip_white_space();
            }
        }
        self.step(1);
        Some(items)
    }

    fn member(&mut self) -> Option<Member> {
        self.skip_white_space();
        let start = self.at;
        let name = self.string()?;
        let name_span = start..self.at;
        self.skip_white_space();
        self.step(1);
        Some(Member { name, name_span, value: self.value()? })
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.step(1);
        loop {
            match self.peek()? {
                b'\\' => self.step(2),
                b'"' => break,
                _ => self.step(1),
            }
        }
        self.step(1);
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<Json> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            self.step(1);
        }
        Json::parse(self.text.get(start..self.at)?.as_bytes()).ok()
    }

    fn skip_white_space(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.step(1);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Located, LocatedValue, line_and_column};
    use crate::json::{Json, JsonError, Path};

    const TEXT: &str = "{\n  \"Größe\": [1, {\"a\\u0062\": \"x\\\"]\"}],\n  \"a\": null, \"a\": -1.5e3\n}";

    #[test]
    fn every_value_has_its_place() {
        let located = Located::parse(TEXT).unwrap();
        let members = located.members().unwrap();
        let shown: Vec<&str> =
            members.iter().flat_map(|m| [&TEXT[m.name_span.clone()], &TEXT[m.value.span.clone()]]).collect();
        assert_eq!(
            shown,
            ["\"Größe\"", "[1, {\"a\\u0062\": \"x\\\"]\"}]", "\"a\"", "null", "\"a\"", "-1.5e3"]
        );
        let inner = &members[0].value.items()[1].members().unwrap()[0];
        assert_eq!((&*inner.name, inner.value.as_str()), ("ab", Some("x\"]")));
        assert_eq!(line_and_column(TEXT, members[0].value.span.start), (2, 12));
        assert_eq!(line_and_column(TEXT, members[2].name_span.start), (3, 14));
    }

    #[test]
    fn places_outside_the_text_are_its_end() {
        assert_eq!(line_and_column("ab\n", usize::MAX), (2, 1));
        assert_eq!(line_and_column("", 7), (1, 1));
        assert_eq!(line_and_column("ä", 1), (1, 1));
    }

    #[test]
    fn limits_are_those_of_the_parser() {
        assert!(Located::parse(&"[".repeat(100_000)).is_err());
        assert!(Located::parse("{} {}").is_err());
        assert!(matches!(
            Located::parse(&format!("[{}0]", "0,".repeat(20_000))),
            Err(JsonError::TooManyValues { .. })
        ));
    }

    fn paths(json: &Located, path: &Path<'_>, found: &mut Vec<(String, std::ops::Range<usize>)>) {
        found.push((path.to_string(), json.span.clone()));
        match &json.value {
            LocatedValue::Scalar(_) => {}
            LocatedValue::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| paths(item, &path.index(at), found));
            }
            LocatedValue::Object(members) => {
                members.iter().for_each(|member| paths(&member.value, &path.field(&member.name), found));
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC{0,6}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                proptest::collection::btree_map("[a-c.\\[\\]\"ä]{0,4}", inner, 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_the_parser_reads(json in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
            let text = text.unwrap();
            let located = Located::parse(&text).unwrap();
            prop_assert_eq!(located.to_json(), Json::parse(text.as_bytes()).unwrap());
            let mut all = Vec::new();
            paths(&located, &Path::ROOT, &mut all);
            for (path, span) in all {
                prop_assert_eq!(&located.find(&path).unwrap().span, &span, "{}", path);
                prop_assert!(text.get(span).is_some());
            }
        }

        #[test]
        fn takes_and_refuses_with_the_parser(text in "[\\[\\]{},:\"a\\\\u0-9 ]{0,12}") {
            let parsed = Json::parse(text.as_bytes());
            match Located::parse(&text) {
                Ok(located) => {
                    let is_repeated = matches!(parsed, Err(JsonError::RepeatedName { .. }));
                    prop_assert!(is_repeated || parsed == Ok(located.to_json()));
                }
                Err(error) => prop_assert_eq!(parsed, Err(error)),
            }
        }
    }
}
