use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::error::OperationError;
use super::members::{MemberError, Members};

/// The prefix that AWS reserves for tags of its own (AWS General Reference, *Tag naming limits and requirements*).
const RESERVED_PREFIX: &str = "aws:";

/// Tags as a request sends them (KMS API reference, *Tag*): within the lengths of the model, not yet checked further.
pub(super) struct SentTags(Vec<(String, String)>);

/// Why tags are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// A tag of AWS's own.
    #[error("the tag key {0:?} begins with aws:, which is reserved")]
    Reserved(String),
    /// A character that tags do not have.
    #[error("the tag {0:?} has another character than letters, digits, spaces and _ . : / = + - @")]
    Character(String),
    /// A key twice.
    #[error("the tag key {0:?} is repeated")]
    Repeated(String),
}

impl SentTags {
    /// The member `Tags`; absent is none.
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let tag = |tag: &Members<'_>| {
            let key = tag.required_string("TagKey", 1..=128)?;
            let value = tag.required_string("TagValue", 0..=256)?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let tags = members.structures("Tags", "Tags.member")?.unwrap_or_default();
        Ok(Self(tags.iter().map(tag).collect::<Result<_, _>>()?))
    }

    /// As [`SentTags::parse`], and the member must be there.
    pub(super) fn parse_required(members: &Members<'_>) -> Result<Self, MemberError> {
        match members.structures("Tags", "Tags.member")? {
            Some(_) => Self::parse(members),
            None => Err(members.missing("Tags")),
        }
    }

    /// For the audit record, as CloudTrail has them.
    pub(super) fn shown(&self) -> Option<Value> {
        let tags = self.0.iter().map(|(key, value)| json!({"tagKey": key, "tagValue": value}));
        Some(tags.collect::<Vec<_>>()).filter(|tags| !tags.is_empty()).map(Value::Array)
    }

    /// The tags, once they are fit for a key.
    pub(super) fn check(&self) -> Result<BTreeMap<String, String>, OperationError> {
        let mut tags = BTreeMap::new();
        for (key, value) in &self.0 {
            check_key(key)?;
            if !has_tag_characters(value) {
                return Err(TagError::Character(value.clone()).into());
            }
            if tags.insert(key.clone(), value.clone()).is_some() {
                return Err(TagError::Repeated(key.clone()).into());
            }
        }
        Ok(tags)
    }
}

/// The keys of tags to take away, each once.
pub(super) fn check_keys(keys: &[String]) -> Result<(), OperationError> {
    let mut seen = BTreeSet::new();
    for key in keys {
        check_key(key)?;
        if !seen.insert(key) {
            return Err(TagError::Repeated(key.clone()).into());
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), TagError> {
    if key.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX)) {
        return Err(TagError::Reserved(key.to_owned()));
    }
    if has_tag_characters(key) { Ok(()) } else { Err(TagError::Character(key.to_owned())) }
}

fn has_tag_characters(text: &str) -> bool {
    text.chars().all(|one| one.is_alphanumeric() || one == ' ' || "_.:/=+-@".contains(one))
}
