use std::fmt;

use crate::crypto::PasswordHash;
use crate::text::shorten;
use crate::time::UnixTime;

/// Characters of an operator's name at most.
const MAX_NAME_LEN: usize = 64;

/// A person who may sign in to the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// By which they sign in.
    pub name: OperatorName,
    /// What their password is held against.
    pub password_hash: PasswordHash,
    /// When they were added.
    pub created_at: UnixTime,
}

/// Letters, digits and `._@-`, 1 to 64 of them; an address of e-mail is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorName(String);

/// A text that is no [`OperatorName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no operator's name: 1 to {MAX_NAME_LEN} letters, digits and ._@-")]
pub struct InvalidOperatorName(pub String);

impl OperatorName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it has other characters, none or too many.
    pub fn parse(text: &str) -> Result<Self, InvalidOperatorName> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        if (1..=MAX_NAME_LEN).contains(&text.len()) && text.bytes().all(is_valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOperatorName(shorten(text)))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["a", "alice", "Alice.B_c-9@example.com", &"x".repeat(64)] {
            assert_eq!(OperatorName::parse(name).unwrap().to_string(), name);
        }
        for name in ["", " alice", "alice\n", "<b>", "älice", &"x".repeat(65)] {
            assert_eq!(OperatorName::parse(name), Err(InvalidOperatorName(name.to_owned())));
        }
    }
}
