//! What a policy asks of a JSON value, with the place of what is wrong.

use super::error::{PolicyError, Problem};
use crate::json::{Json, JsonError, Path};

/// Reads a policy's text as JSON.
pub(super) fn parse(text: &str) -> Result<Json, PolicyError> {
    Json::parse(text.as_bytes()).map_err(|error| match error {
        JsonError::Syntax { line, column, problem } => {
            Path::ROOT.error(Problem::Syntax { line, column, problem })
        }
        JsonError::TooManyValues { limit } => Path::ROOT.error(Problem::TooManyValues { limit }),
        JsonError::RepeatedName { path, name } => {
            PolicyError { path, problem: Problem::DuplicateName { name } }
        }
    })
}

/// An error at a place.
pub(super) trait ErrorAt {
    fn error(&self, problem: Problem) -> PolicyError;
}

impl ErrorAt for Path<'_> {
    fn error(&self, problem: Problem) -> PolicyError {
        PolicyError { path: self.to_string(), problem }
    }
}

/// Typed reading of a value at `path`.
pub(super) trait PolicyValue {
    fn string(&self, path: &Path<'_>) -> Result<&str, PolicyError>;

    /// The members of an object that has some.
    fn non_empty_object(&self, path: &Path<'_>) -> Result<&[(String, Json)], PolicyError>;

    /// Hands each item of a non-empty array to `take`, or this value itself when it is no array.
    fn each(
        &self,
        path: &Path<'_>,
        take: impl FnMut(&Json, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<(), PolicyError>;

    /// As [`Self::each`], for a string or an array of strings.
    fn each_string(
        &self,
        path: &Path<'_>,
        take: impl FnMut(&str, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<(), PolicyError>;

    fn wrong_type(&self, path: &Path<'_>, expected: &'static str) -> PolicyError;
}

impl PolicyValue for Json {
    fn string(&self, path: &Path<'_>) -> Result<&str, PolicyError> {
        match self {
            Self::String(text) => Ok(text),
            _ => Err(self.wrong_type(path, "a string")),
        }
    }

    fn non_empty_object(&self, path: &Path<'_>) -> Result<&[(String, Self)], PolicyError> {
        match self {
            Self::Object(members) if members.is_empty() => Err(path.error(Problem::Empty { what: "object" })),
            Self::Object(members) => Ok(members),
            _ => Err(self.wrong_type(path, "an object")),
        }
    }

    fn each(
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

    fn each_string(
        &self,
        path: &Path<'_>,
        mut take: impl FnMut(&str, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<(), PolicyError> {
        match self {
            Self::String(_) | Self::Array(_) => self.each(path, |item, path| take(item.string(path)?, path)),
            _ => Err(self.wrong_type(path, "a string or an array of strings")),
        }
    }

    fn wrong_type(&self, path: &Path<'_>, expected: &'static str) -> PolicyError {
        path.error(Problem::WrongType { expected, actual: self.type_name() })
    }
}
