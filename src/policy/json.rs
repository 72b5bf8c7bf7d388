//! A JSON tree that keeps what `serde_json::Value` drops: repeated names, and the way to each value.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::{PolicyError, Problem, shorten};

/// A JSON value, objects in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// No element of a policy takes a number, so its value does not matter.
    Number,
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one JSON text (RFC 8259) without repeated names in any object. Nesting is limited by serde_json to 128.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let json: Self = serde_json::from_str(text).map_err(|error| {
            Path::ROOT.error(Problem::Syntax {
                line: error.line(),
                column: error.column(),
                problem: error.to_string(),
            })
        })?;
        json.reject_repeated_names(&Path::ROOT)?;
        Ok(json)
    }

    fn reject_repeated_names(&self, path: &Path<'_>) -> Result<(), PolicyError> {
        match self {
            Self::Null | Self::Bool(_) | Self::Number | Self::String(_) => Ok(()),
            Self::Array(items) => {
                (0..).zip(items).try_for_each(|(at, item)| item.reject_repeated_names(&path.index(at)))
            }
            Self::Object(members) => {
                let mut seen = HashSet::with_capacity(members.len());
                for (name, value) in members {
                    if !seen.insert(name.as_str()) {
                        return Err(path.error(Problem::DuplicateName { name: shorten(name) }));
                    }
                    value.reject_repeated_names(&path.field(name))?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn string(&self, path: &Path<'_>) -> Result<&str, PolicyError> {
        match self {
            Self::String(text) => Ok(text),
            _ => Err(self.wrong_type(path, "a string")),
        }
    }

    /// The members of an object that has some.
    pub(super) fn non_empty_object(&self, path: &Path<'_>) -> Result<&[(String, Self)], PolicyError> {
        match self {
            Self::Object(members) if members.is_empty() => Err(path.error(Problem::Empty { what: "object" })),
            Self::Object(members) => Ok(members),
            _ => Err(self.wrong_type(path, "an object")),
        }
    }

    /// Hands each item of a non-empty array to `take`, or this value itself when it is no array.
    pub(super) fn each(
        &self,
        path: &Path<'_>,
        mut take: impl FnMut(&Self, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<(), PolicyError> {
        match self {
            Self::Array(items) if items.is_empty() => Err(path.error(Problem::Empty { what: "array" })),
            Self::Array(items) => (0..).zip(items).try_for_each(|(at, item)| take(item, &path.index(at))),
            _ => take(self, path),
        }
    }

    /// As [`Self::each`], for a string or an array of strings.
    pub(super) fn each_string(
        &self,
        path: &Path<'_>,
        mut take: impl FnMut(&str, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<(), PolicyError> {
        match self {
            Self::String(_) | Self::Array(_) => self.each(path, |item, path| take(item.string(path)?, path)),
            _ => Err(self.wrong_type(path, "a string or an array of strings")),
        }
    }

    pub(super) fn wrong_type(&self, path: &Path<'_>, expected: &'static str) -> PolicyError {
        path.error(Problem::WrongType { expected, actual: self.type_name() })
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
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

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

/// The way from the root to a value, such as `Statement[1].Condition.StringEquals`. Borrowed, link by link; text only
/// when an error needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
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
    pub(super) const ROOT: Self = Self { parent: None, step: Step::Root };
}

impl<'p> Path<'p> {
    pub(super) fn field(&'p self, name: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    pub(super) fn index(&'p self, at: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(at) }
    }

    pub(super) fn error(&self, problem: Problem) -> PolicyError {
        PolicyError { path: self.to_string(), problem }
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
