//! Policy variables: `${KEY}`, `${KEY, 'default'}`, and the escapes `${*}`, `${?}`, `${$}`
//! (IAM user guide, *IAM policy elements: Variables and tags*).

use std::borrow::Cow;
use std::fmt;

use super::condition_key::ConditionKey;
use super::error::Problem;
use super::evaluate::{ContextValues, EvaluationError, PolicyRequest};
use super::pattern::Pattern;
use crate::text::shorten;

/// A text with variables. What takes a variable's place is literal: a `*` in it is that character and no wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// As it is written; in a pattern its wildcards are such.
    Text(Box<str>),
    /// One escaped character.
    Escaped(char),
    Variable {
        key: ConditionKey,
        default: Option<Box<str>>,
    },
}

impl Template {
    /// Reads a text; `None` when it has no variable.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("${") {
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            let (variable, after) =
                from.split_once('}').ok_or_else(|| problem(from, "no closing brace follows"))?;
            parts.push(Part::parse(variable)?);
            rest = after;
        }
        if parts.is_empty() {
            return Ok(None);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Some(Self { parts: parts.into() }))
    }

    /// Cuts the text at its own colons into `limit` pieces at most; what takes a variable's place cuts nothing.
    pub(super) fn split_at_colons(&self, limit: usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut piece = Vec::new();
        for part in &self.parts {
            let Part::Text(text) = part else {
                piece.push(part.clone());
                continue;
            };
            let mut rest: &str = text;
            while pieces.len() + 1 < limit
                && let Some((before, after)) = rest.split_once(':')
            {
                if !before.is_empty() {
                    piece.push(Part::Text(before.into()));
                }
                pieces.push(std::mem::take(&mut piece));
                rest = after;
            }
            if !rest.is_empty() {
                piece.push(Part::Text(rest.into()));
            }
        }
        pieces.push(piece);
        pieces.into_iter().map(|parts| Self { parts: parts.into() }).collect()
    }

    /// The text, when nothing in it is replaced.
    pub(super) fn as_plain_text(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The whole text with values in place of the variables; `None` when one has neither value nor default.
    pub(super) fn text(&self, request: &PolicyRequest<'_>) -> Result<Option<String>, EvaluationError> {
        let mut text = String::new();
        for part in &self.parts {
            match part.value(request)? {
                Some(value) => text.push_str(&value),
                None => return Ok(None),
            }
        }
        Ok(Some(text))
    }

    /// As [`Template::text`], with the wildcards of the text itself.
    pub(super) fn pattern(&self, request: &PolicyRequest<'_>) -> Result<Option<Pattern>, EvaluationError> {
        let mut pattern = Pattern::builder();
        for part in &self.parts {
            match (part, part.value(request)?) {
                (Part::Text(text), _) => pattern.text(text),
                (Part::Escaped(_) | Part::Variable { .. }, Some(value)) => pattern.literal(&value),
                (Part::Escaped(_) | Part::Variable { .. }, None) => return Ok(None),
            }
        }
        Ok(Some(pattern.finish()))
    }
}

impl Part {
    /// Reads what stands between `${` and `}`.
    fn parse(variable: &str) -> Result<Self, Problem> {
        let (name, default) = match variable.split_once(',') {
            None if variable == "*" => return Ok(Self::Escaped('*')),
            None if variable == "?" => return Ok(Self::Escaped('?')),
            None if variable == "$" => return Ok(Self::Escaped('$')),
            None => (variable, None),
            Some((name, quoted)) => {
                let default = quoted.trim().strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
                let default = default.filter(|default| !default.contains('\''));
                (name, Some(default.ok_or_else(|| problem(variable, "a default stands in single quotes"))?))
            }
        };
        let key = ConditionKey::parse(name.trim())
            .ok_or_else(|| problem(variable, "it is no condition key that is supported"))?;
        if key.is_multivalued() {
            return Err(problem(variable, "the key may have several values"));
        }
        Ok(Self::Variable { key, default: default.map(Box::from) })
    }

    fn value<'r>(&'r self, request: &'r PolicyRequest<'_>) -> Result<Option<Cow<'r, str>>, EvaluationError> {
        Ok(match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Escaped(character) => Some(Cow::Owned(character.to_string())),
            Self::Variable { key, default } => match request.values(key)? {
                ContextValues::One(value) => Some(Cow::Owned(value.text().into_owned())),
                ContextValues::Absent | ContextValues::Many(_) => default.as_deref().map(Cow::Borrowed),
            },
        })
    }
}

fn problem(variable: &str, problem: &'static str) -> Problem {
    Problem::PolicyVariable { variable: shorten(variable), problem }
}

/// As it is written, but for white space inside the braces.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Escaped(character) => write!(f, "${{{character}}}"),
            Part::Variable { key, default: None } => write!(f, "${{{key}}}"),
            Part::Variable { key, default: Some(default) } => write!(f, "${{{key}, '{default}'}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn variables_are_read_and_shown() {
        for (written, shown) in [
            ("a${aws:username}b", "a${aws:username}b"),
            ("${AWS:UserName}", "${aws:username}"),
            ("${ aws:username ,'nobody'}", "${aws:username, 'nobody'}"),
            ("${aws:username, ''}${*}${?}${$}", "${aws:username, ''}${*}${?}${$}"),
            ("$${aws:username}$", "$${aws:username}$"),
            ("${kms:EncryptionContext:Größe}*", "${kms:EncryptionContext:Größe}*"),
        ] {
            assert_eq!(Template::parse(written).unwrap().unwrap().to_string(), shown);
        }
        for plain in ["", "$", "{aws:username}", "$ {aws:username}", "$aws:username"] {
            assert_eq!(Template::parse(plain), Ok(None), "{plain}");
        }
        for bad in [
            "${",
            "a${aws:username",
            "${}",
            "${**}",
            "${aws:userid}",
            "${aws:username,}",
            "${aws:username, nobody}",
            "${aws:username, 'no''body'}",
            "${kms:EncryptionContextKeys}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_is_not_cut() {
        let template = Template::parse("a:b${aws:username}:${kms:KeySpec}c:d:e").unwrap().unwrap();
        let pieces: Vec<String> = template.split_at_colons(4).iter().map(ToString::to_string).collect();
        assert_eq!(pieces, ["a", "b${aws:username}", "${kms:KeySpec}c", "d:e"]);
    }
}
