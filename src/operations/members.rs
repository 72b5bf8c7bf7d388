use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pattern::TextPattern;
use crate::encryption_context::{EncryptionContext, EncryptionContextTooLong, MAX_ENCRYPTION_CONTEXT_LEN};
use crate::json::Json;
use crate::time::UnixTime;

/// The members of one structure of a request, read under the constraints of the service model that botocore ships
/// (`kms/2014-11-01/service-2.json`). Unknown members are ignored and null counts as absent, as in AWS.
#[derive(Clone, Copy)]
pub struct Members<'j> {
    object: &'j [(String, Json)],
    /// The structure's own name, empty for the request.
    structure: &'static str,
}

/// Why a request's members are not those of the operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// A value of another JSON type, or text that is no base64: the request cannot be read.
    #[error("{member} must be {expected}, found {actual}")]
    Type {
        /// Path of the member, such as `Recipient.AttestationDocument`.
        member: String,
        /// What the model has.
        expected: &'static str,
        /// What came.
        actual: String,
    },
    /// A value violates a constraint of the model.
    #[error("1 validation error detected: Value {}at '{member}' failed to satisfy constraint: Member must {rule}", Quoted(.actual.as_deref()))]
    Constraint {
        /// Path of the member.
        member: String,
        /// The constraint, in the words of AWS.
        rule: String,
        /// The value, where it is short and not bulky.
        actual: Option<String>,
    },
    /// Members that do not go together.
    #[error("{0}")]
    Combination(&'static str),
}

struct Quoted<'a>(Option<&'a str>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |value| write!(f, "'{value}' "))
    }
}

impl<'j> Members<'j> {
    /// The members of a request.
    ///
    /// # Errors
    /// When the request is no object.
    pub fn of_request(request: &'j Json) -> Result<Self, MemberError> {
        match request {
            Json::Object(object) => Ok(Self { object, structure: "" }),
            other => Err(MemberError::Type {
                member: "the request".to_owned(),
                expected: "an object",
                actual: other.type_name().to_owned(),
            }),
        }
    }

    /// A string whose length in characters is in `length`.
    ///
    /// # Errors
    /// When it is of another type or length.
    pub fn string(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<&'j str>, MemberError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => {
                self.check_length(name, text.chars().count(), &length, Some(text))?;
                Ok(Some(text))
            }
            Some(other) => Err(self.wrong_type(name, "a string", other)),
        }
    }

    /// As [`Members::string`], and it must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn required_string(&self, name: &str, length: RangeInclusive<usize>) -> Result<&'j str, MemberError> {
        self.string(name, length)?.ok_or_else(|| self.missing(name))
    }

    /// A string whose length in characters is in `length`, of a pattern of the model.
    ///
    /// # Errors
    /// When it is of another type, length or form.
    pub(super) fn text_of(
        &self,
        name: &str,
        length: RangeInclusive<usize>,
        pattern: &TextPattern,
    ) -> Result<Option<&'j str>, MemberError> {
        let text = self.string(name, length)?;
        self.check_pattern(name, text, pattern, text)?;
        Ok(text)
    }

    /// As [`Members::text_of`], and no error shows it.
    ///
    /// # Errors
    /// When it is of another type, length or form.
    pub(super) fn secret_text_of(
        &self,
        name: &str,
        length: RangeInclusive<usize>,
        pattern: Option<&TextPattern>,
    ) -> Result<Option<&'j str>, MemberError> {
        let text = self.string(name, 0..=usize::MAX)?;
        self.check_length(name, text.map_or(*length.start(), |text| text.chars().count()), &length, None)?;
        if let Some(pattern) = pattern {
            self.check_pattern(name, text, pattern, None)?;
        }
        Ok(text)
    }

    fn check_pattern(
        &self,
        name: &str,
        text: Option<&str>,
        pattern: &TextPattern,
        shown: Option<&str>,
    ) -> Result<(), MemberError> {
        if text.is_none_or(pattern.matches) {
            return Ok(());
        }
        let rule = format!("satisfy regular expression pattern: {}", pattern.regex);
        Err(self.violates(name, rule, shown))
    }

    /// One of the names in `values`.
    ///
    /// # Errors
    /// When it is of another type or none of them.
    pub fn one_of<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<Option<T>, MemberError> {
        let Some(text) = self.string(name, 0..=usize::MAX)? else { return Ok(None) };
        match values.iter().find(|(value, _)| *value == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let names: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
                Err(self.violates(
                    name,
                    format!("satisfy enum value set: [{}]", names.join(", ")),
                    Some(text),
                ))
            }
        }
    }

    /// An integer in `range`.
    ///
    /// # Errors
    /// When it is of another type or outside.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, MemberError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Integer(value)) if range.contains(value) => Ok(Some(*value)),
            Some(Json::Integer(value)) => {
                let rule = if value < range.start() {
                    format!("have value greater than or equal to {}", range.start())
                } else {
                    format!("have value less than or equal to {}", range.end())
                };
                Err(self.violates(name, rule, Some(&value.to_string())))
            }
            Some(other) => Err(self.wrong_type(name, "an integer", other)),
        }
    }

    /// A moment: seconds since 1970 in UTC, with or without a fraction.
    ///
    /// # Errors
    /// When it is of another type, or before 1970.
    pub fn date(&self, name: &str) -> Result<Option<UnixTime>, MemberError> {
        let ms = match self.get(name) {
            None => return Ok(None),
            Some(Json::Integer(seconds)) => u64::try_from(*seconds).ok().map(|it| it.saturating_mul(1000)),
            // A double holds the milliseconds of every date that is one; the cast saturates.
            Some(Json::OtherNumber(seconds)) if *seconds >= 0.0 => Some((seconds * 1000.0).round() as u64),
            Some(Json::OtherNumber(_)) => None,
            Some(other) => return Err(self.wrong_type(name, "a number of seconds since 1970", other)),
        };
        let before_1970 = || self.violates(name, "be a date since 1970".to_owned(), None);
        ms.map(|ms| Some(UnixTime::from_ms(ms))).ok_or_else(before_1970)
    }

    /// A boolean; absent is false.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn flag(&self, name: &str) -> Result<bool, MemberError> {
        match self.get(name) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(other) => Err(self.wrong_type(name, "a boolean", other)),
        }
    }

    /// Bytes in base64 whose number is in `length`.
    ///
    /// # Errors
    /// When it is of another type or length, or no base64.
    pub fn blob(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<Vec<u8>>, MemberError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => {
                let bytes = STANDARD.decode(text).map_err(|_| MemberError::Type {
                    member: self.path(name),
                    expected: "base64 (RFC 4648 section 4)",
                    actual: "text that is not".to_owned(),
                })?;
                self.check_length(name, bytes.len(), &length, None)?;
                Ok(Some(bytes))
            }
            Some(other) => Err(self.wrong_type(name, "base64 text", other)),
        }
    }

    /// A list of strings.
    ///
    /// # Errors
    /// When it is of another type, or the number or the length of its items is not allowed.
    pub fn strings(
        &self,
        name: &str,
        count: RangeInclusive<usize>,
        item_length: RangeInclusive<usize>,
    ) -> Result<Vec<&'j str>, MemberError> {
        let items = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Json::Array(items)) => items,
            Some(other) => return Err(self.wrong_type(name, "a list of strings", other)),
        };
        self.check_length(name, items.len(), &count, None)?;
        items
            .iter()
            .map(|item| match item {
                Json::String(text) => {
                    self.check_length(&format!("{name}.member"), text.chars().count(), &item_length, None)?;
                    Ok(text.as_str())
                }
                other => Err(self.wrong_type(name, "a list of strings", other)),
            })
            .collect()
    }

    /// A map of strings to strings; absent is empty.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, MemberError> {
        let entries = match self.get(name) {
            None => return Ok(BTreeMap::new()),
            Some(Json::Object(entries)) => entries,
            Some(other) => return Err(self.wrong_type(name, "a map of strings to strings", other)),
        };
        entries
            .iter()
            .map(|(key, value)| match value {
                Json::String(value) => Ok((key.clone(), value.clone())),
                other => Err(self.wrong_type(name, "a map of strings to strings", other)),
            })
            .collect()
    }

    /// Whether the member is there, of whatever type.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The members of a structure inside this one.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn structure(&self, name: &'static str) -> Result<Option<Members<'j>>, MemberError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Object(object)) => Ok(Some(Members { object, structure: name })),
            Some(other) => Err(self.wrong_type(name, "an object", other)),
        }
    }

    /// The members of each structure in a list; `item` names one of them in errors.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn structures(
        &self,
        name: &str,
        item: &'static str,
    ) -> Result<Option<Vec<Members<'j>>>, MemberError> {
        let items = match self.get(name) {
            None => return Ok(None),
            Some(Json::Array(items)) => items,
            Some(other) => return Err(self.wrong_type(name, "a list of objects", other)),
        };
        let structure = |one: &'j Json| match one {
            Json::Object(object) => Ok(Members { object, structure: item }),
            other => Err(self.wrong_type(name, "a list of objects", other)),
        };
        items.iter().map(structure).collect::<Result<_, _>>().map(Some)
    }

    /// The error of a member that must be there.
    pub fn missing(&self, name: &str) -> MemberError {
        self.violates(name, "not be null".to_owned(), Some("null"))
    }

    /// The error of a member that violates `rule`, a sentence behind "Member must".
    pub fn violates(&self, name: &str, rule: String, actual: Option<&str>) -> MemberError {
        const SHOWN_CHARACTERS: usize = 64;
        let actual = actual.map(|text| text.chars().take(SHOWN_CHARACTERS).collect());
        MemberError::Constraint { member: self.path(name), rule, actual }
    }

    fn get(&self, name: &str) -> Option<&'j Json> {
        let (_, value) = self.object.iter().find(|(found, _)| found == name)?;
        (*value != Json::Null).then_some(value)
    }

    fn path(&self, name: &str) -> String {
        if self.structure.is_empty() { name.to_owned() } else { format!("{}.{name}", self.structure) }
    }

    fn wrong_type(&self, name: &str, expected: &'static str, actual: &Json) -> MemberError {
        MemberError::Type { member: self.path(name), expected, actual: actual.type_name().to_owned() }
    }

    fn check_length(
        &self,
        name: &str,
        actual: usize,
        allowed: &RangeInclusive<usize>,
        value: Option<&str>,
    ) -> Result<(), MemberError> {
        if allowed.contains(&actual) {
            return Ok(());
        }
        let rule = if actual < *allowed.start() {
            format!("have length greater than or equal to {}", allowed.start())
        } else {
            format!("have length less than or equal to {}", allowed.end())
        };
        Err(self.violates(name, rule, value))
    }
}

/// An encryption context, the member `name`.
pub(super) fn encryption_context(
    members: &Members<'_>,
    name: &str,
) -> Result<EncryptionContext, MemberError> {
    EncryptionContext::new(members.string_map(name)?).map_err(|EncryptionContextTooLong { actual }| {
        let rule = format!("have at most {MAX_ENCRYPTION_CONTEXT_LEN} bytes, found {actual}");
        members.violates(name, rule, None)
    })
}

/// Whether `DryRunModifiers` says that the ciphertext is not to be looked at.
pub(super) fn ignores_ciphertext(members: &Members<'_>, dry_run: bool) -> Result<bool, MemberError> {
    let modifiers = members.strings("DryRunModifiers", 0..=usize::MAX, 0..=usize::MAX)?;
    if let Some(unknown) = modifiers.iter().find(|modifier| **modifier != "IGNORE_CIPHERTEXT") {
        let rule = "satisfy enum value set: [IGNORE_CIPHERTEXT]".to_owned();
        return Err(members.violates("DryRunModifiers.member", rule, Some(unknown)));
    }
    if !modifiers.is_empty() && !dry_run {
        return Err(MemberError::Combination("DryRunModifiers is only allowed when DryRun is true."));
    }
    Ok(!modifiers.is_empty())
}

/// A time as the protocol has it: seconds since 1970 in UTC, to the millisecond.
pub(super) fn as_date(time: UnixTime) -> f64 {
    time.as_ms() as f64 / 1000.0
}

/// A blob as the protocol has it.
pub(super) fn as_base64<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}
