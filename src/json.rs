//! A JSON tree (RFC 8259) that refuses repeated member names and knows the way to each value.
//!
//! Two readers of `{"KeyId": "a", "KeyId": "b"}` may see two different requests, or two different policies; one is
//! enough to refuse it.

mod located;

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

pub use located::{Located, LocatedValue, Member, Span, line_and_column};

use crate::text::shorten;

/// Values in one text at most, counting objects and arrays with all that is in them. Each takes several times the two
/// bytes that its text needs at least; a key policy of 32,768 bytes, the most that KMS allows, holds no more than this.
const MAX_VALUES: usize = 16_384;

/// A JSON value, objects in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction or exponent that fits.
    Integer(i64),
    /// Any other number, as near as a double comes.
    OtherNumber(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; each name stands once.
    Object(Vec<(String, Json)>),
}

/// Why a text is no [`Json`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("{problem}")]
    Syntax {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault.
        column: usize,
        /// The parser's words, with the place.
        problem: String,
    },
    /// More values than any request or policy has.
    #[error("the JSON has more than {limit} values")]
    TooManyValues {
        /// The most that are read.
        limit: usize,
    },
    /// An object has a member twice.
    #[error("the name {name:?} is repeated in the object at {}", Shown(.path))]
    RepeatedName {
        /// The way to the object, empty for the root.
        path: String,
        /// The name, cut for a message.
        name: String,
    },
}

struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "the top" } else { self.0 })
    }
}

impl Json {
    /// Reads the whole input as one value. Nesting is bounded by serde_json at 128 levels.
    ///
    /// # Errors
    /// When it is not JSON, something follows it, it has too many values, or a name is repeated in an object.
    pub fn parse(input: &[u8]) -> Result<Self, JsonError> {
        let json = Self::parse_with_repeated_names(input)?;
        json.refuse_repeated_names(&Path::ROOT)?;
        Ok(json)
    }

    /// The value's type in words, for error messages.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::OtherNumber(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    fn parse_with_repeated_names(input: &[u8]) -> Result<Self, JsonError> {
        Self::parse_bounded(input).map_err(|error| match error.classify() {
            // Data of any type is read, so all there is to refuse in it is its amount.
            serde_json::error::Category::Data => JsonError::TooManyValues { limit: MAX_VALUES },
            _ => JsonError::Syntax { line: error.line(), column: error.column(), problem: error.to_string() },
        })
    }

    fn parse_bounded(input: &[u8]) -> Result<Self, serde_json::Error> {
        let mut values_left = MAX_VALUES;
        let mut deserializer = serde_json::Deserializer::from_slice(input);
        let json = JsonSeed { values_left: &mut values_left }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(json)
    }

    fn refuse_repeated_names(&self, path: &Path<'_>) -> Result<(), JsonError> {
        match self {
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::OtherNumber(_) | Self::String(_) => Ok(()),
            Self::Array(items) => {
                (0..).zip(items).try_for_each(|(at, item)| item.refuse_repeated_names(&path.index(at)))
            }
            Self::Object(members) => {
                let mut seen = HashSet::with_capacity(members.len());
                for (name, value) in members {
                    if !seen.insert(name.as_str()) {
                        return Err(JsonError::RepeatedName { path: path.to_string(), name: shorten(name) });
                    }
                    value.refuse_repeated_names(&path.field(name))?;
                }
                Ok(())
            }
        }
    }
}

/// Reads one value and what is in it, as long as there may be more.
struct JsonSeed<'b> {
    values_left: &'b mut usize,
}

impl<'de> DeserializeSeed<'de> for JsonSeed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        *self.values_left =
            self.values_left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonSeed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::OtherNumber(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(JsonSeed { values_left: &mut *self.values_left })? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key()? {
            let value = map.next_value_seed(JsonSeed { values_left: &mut *self.values_left })?;
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

/// The way from the root to a value, such as `Statement[1].Condition.StringEquals`. Borrowed, link by link; text only
/// when an error needs it.
#[derive(Clone, Copy, Debug)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
}

impl Path<'static> {
    /// The whole text.
    pub const ROOT: Self = Self { parent: None, step: Step::Root };
}

impl<'p> Path<'p> {
    /// The member `name` of the object here.
    pub fn field(&'p self, name: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    /// The item of the array here, from 0.
    pub fn index(&'p self, at: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(at) }
    }
}

/// Names with other characters than letters, digits and `_-:/` stand in brackets and quotes; long ones are cut.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Index(at) => write!(f, "[{at}]"),
            Step::Field(name) if is_plain(name) => {
                let dot = if parent.parent.is_some() { "." } else { "" };
                write!(f, "{dot}{}", shorten(name))
            }
            Step::Field(name) => write!(f, "[{:?}]", shorten(name)),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Json, JsonError, MAX_VALUES};

    #[test]
    fn repeated_names_are_refused_at_every_depth() {
        assert!(Json::parse(br#"{"a":1,"b":{"a":1}}"#).is_ok());
        for (text, path) in [
            (r#"{"a":1,"a":1}"#, ""),
            (r#"[{"b":{"a":1,"a":2}}]"#, "[0].b"),
            (r#"{"c":[1,{"a":1,"\u0061":2}]}"#, "c[1]"),
        ] {
            let expected = JsonError::RepeatedName { path: path.to_owned(), name: "a".to_owned() };
            assert_eq!(Json::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn depth_and_surplus_are_refused() {
        assert!(Json::parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(Json::parse(b"{} {}").is_err());
        assert_eq!(Json::parse(b"1e3"), Ok(Json::OtherNumber(1000.0)));
        assert_eq!(Json::parse(b"18446744073709551615"), Ok(Json::OtherNumber(u64::MAX as f64)));
    }

    #[test]
    fn no_more_values_are_read_than_the_limit() {
        let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        let members = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":{{}}")).collect();
            format!("{{{}}}", members.join(","))
        };
        for form in [&zeros as &dyn Fn(usize) -> String, &members] {
            assert!(Json::parse(form(MAX_VALUES - 1).as_bytes()).is_ok());
            assert_eq!(
                Json::parse(form(MAX_VALUES).as_bytes()),
                Err(JsonError::TooManyValues { limit: MAX_VALUES })
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Json::parse(&input);
        }
    }
}
