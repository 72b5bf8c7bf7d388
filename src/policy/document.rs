//! The two kinds of policy document.

use super::error::{PolicyError, Problem};
use super::json::{self, ErrorAt, PolicyValue};
use super::statement::Statement;
use super::template::Template;
use crate::json::{Json, Path};
use crate::text::shorten;

/// Longest key policy, in bytes (KMS quota; the model's `PolicyType`).
pub const MAX_POLICY_BYTES: usize = 32_768;

/// Longest identity policy, in characters that are no white space: IAM's quota for all the inline policies of a role, the
/// largest that it has for one document (IAM quotas, *IAM and STS character limits*).
pub const MAX_IDENTITY_POLICY_CHARACTERS: usize = 10_240;

/// Longest identity policy with its white space, in bytes (IAM API, `policyDocumentType`).
pub const MAX_IDENTITY_POLICY_BYTES: usize = 131_072;

/// A key policy that has passed every check, with its text: who may use the key for what.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    text: Box<str>,
    id: Option<Box<str>>,
    pub(super) statements: Box<[Statement]>,
}

/// An identity policy that has passed every check, with its text: what whom it is attached to may do with which keys.
///
/// Statements about other services are taken, since policies made for AWS have them, and never apply.
#[derive(Clone, Debug)]
pub struct IdentityPolicy {
    text: Box<str>,
    pub(super) statements: Box<[Statement]>,
}

/// What a document is: the rules that differ between the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// With principals, and about KMS alone.
    KeyPolicy,
    /// Without principals, and about any service.
    IdentityPolicy,
}

/// The two versions of the policy language; only the later one has policy variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2008,
    V2012,
}

impl KeyPolicy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// [`PolicyError`] names the first place that is not understood, or that could never take effect as written.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        check_length(text.len(), MAX_POLICY_BYTES)?;
        let (id, statements) = parse_document(text, Grammar::KeyPolicy)?;
        Ok(Self { text: text.into(), id, statements })
    }

    /// The document as it was put, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document's `Id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl IdentityPolicy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// As [`KeyPolicy::parse`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        check_length(text.len(), MAX_IDENTITY_POLICY_BYTES)?;
        let characters = text.chars().filter(|character| !character.is_whitespace()).count();
        if characters > MAX_IDENTITY_POLICY_CHARACTERS {
            return Err(Path::ROOT.error(Problem::TooManyCharacters { characters }));
        }
        let (_, statements) = parse_document(text, Grammar::IdentityPolicy)?;
        Ok(Self { text: text.into(), statements })
    }

    /// The document as it was put, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn check_length(bytes: usize, limit: usize) -> Result<(), PolicyError> {
    if bytes > limit { Err(Path::ROOT.error(Problem::TooLarge { bytes, limit })) } else { Ok(()) }
}

type Document = (Option<Box<str>>, Box<[Statement]>);

fn parse_document(text: &str, grammar: Grammar) -> Result<Document, PolicyError> {
    let root = Path::ROOT;
    let json = json::parse(text)?;
    let (mut version, mut id, mut statements) = (Version::V2008, None, None);
    for (name, value) in json.non_empty_object(&root)? {
        let path = root.field(name);
        match name.as_str() {
            "Version" => version = Version::parse(value, &path)?,
            "Id" => id = Some(value.string(&path)?.into()),
            "Statement" => statements = Some(value),
            _ => return Err(root.error(Problem::UnknownElement { name: shorten(name) })),
        }
    }
    let missing = || root.error(Problem::MissingElement { name: "Statement" });
    let statements = Statement::parse_all(statements.ok_or_else(missing)?, version, grammar)?;
    Ok((id, statements.into()))
}

impl Version {
    pub(super) fn parse(json: &Json, path: &Path<'_>) -> Result<Self, PolicyError> {
        match json.string(path)? {
            "2008-10-17" => Ok(Self::V2008),
            "2012-10-17" => Ok(Self::V2012),
            other => {
                let expected = "\"2012-10-17\" or \"2008-10-17\"";
                Err(path.error(Problem::Value { expected, actual: shorten(other) }))
            }
        }
    }

    /// The text with its policy variables, if it has some; before the later version, `${` stands for itself.
    pub(super) fn template(self, text: &str, path: &Path<'_>) -> Result<Option<Template>, PolicyError> {
        match self {
            Self::V2008 => Ok(None),
            Self::V2012 => Template::parse(text).map_err(|problem| path.error(problem)),
        }
    }
}
