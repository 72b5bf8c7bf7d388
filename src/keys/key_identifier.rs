use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::text::shorten;

/// Where this broker's keys live: the parts of an ARN that are the same for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    partition: String,
    region: String,
    account: String,
}

/// A text that is no region or account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub struct InvalidRealm(pub String, pub &'static str);

/// A key's id, a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Uuid);

/// A key's ARN, `arn:<partition>:kms:<region>:<account>:key/<key id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyArn {
    id: KeyId,
    text: Arc<str>,
}

/// An alias with its prefix, `alias/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName(String);

/// A text that is no alias name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an alias name: alias/ followed by letters, digits, /, _ and -, 256 characters in all, not alias/aws/…"
)]
pub struct InvalidAliasName(pub String);

/// The four forms of the request member `KeyId`, ARNs reduced to what they name in this broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyIdentifier {
    /// A key id or key ARN.
    Key(KeyId),
    /// An alias name or alias ARN.
    Alias(AliasName),
}

/// Why a text identifies no key here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyIdentifierError {
    /// An ARN of another service, region or account.
    #[error("the ARN names {part} {actual:?}, this broker serves {expected:?}")]
    AnotherRealm {
        /// `partition`, `service`, `region` or `account`.
        part: &'static str,
        /// What this broker serves.
        expected: String,
        /// What the ARN names.
        actual: String,
    },
    /// None of the four forms.
    #[error("{0:?} is no key id, key ARN, alias name or alias ARN")]
    Malformed(String),
}

impl Realm {
    /// # Errors
    /// When the region is not of lower-case letters, digits and hyphens, or the account not of 12 digits.
    pub fn new(region: &str, account: &str) -> Result<Self, InvalidRealm> {
        let region_is_valid = (1..=32).contains(&region.len())
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !region_is_valid {
            return Err(InvalidRealm(region.to_owned(), "a region such as us-east-1"));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidRealm(account.to_owned(), "an account number of 12 digits"));
        }
        Ok(Self { partition: "aws".to_owned(), region: region.to_owned(), account: account.to_owned() })
    }

    /// The same place of another account, twelve digits.
    pub fn of_account(&self, account: &str) -> Self {
        Self { account: account.to_owned(), ..self.clone() }
    }

    /// Such as `us-east-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// 12 digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The ARN of a key of this broker.
    pub fn key_arn(&self, id: KeyId) -> KeyArn {
        let text = format!("arn:{}:kms:{}:{}:key/{id}", self.partition, self.region, self.account);
        KeyArn { id, text: text.into() }
    }

    /// The ARN of an alias of this broker.
    pub fn alias_arn(&self, name: &AliasName) -> String {
        format!("arn:{}:kms:{}:{}:{name}", self.partition, self.region, self.account)
    }
}

impl KeyId {
    /// A new random id (UUID version 4) from 16 random bytes.
    pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The 16 bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl FromStr for KeyId {
    type Err = KeyIdentifierError;

    /// Reads the hyphenated lower-case form only, so that a key has one name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Self(Uuid::try_parse(text).map_err(|_| malformed(text))?);
        if id.to_string() == text { Ok(id) } else { Err(malformed(text)) }
    }
}

impl AliasName {
    /// Reads `alias/<name>` (KMS API reference, *CreateAlias*).
    ///
    /// # Errors
    /// When the text is anything else, or in the range `alias/aws/` that KMS reserves.
    pub fn parse(text: &str) -> Result<Self, InvalidAliasName> {
        const MAX_ALIAS_LEN: usize = 256;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-');
        match text.strip_prefix("alias/") {
            Some(name)
                if !name.is_empty()
                    && text.len() <= MAX_ALIAS_LEN
                    && !name.starts_with("aws/")
                    && name.bytes().all(allowed) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidAliasName(shorten(text))),
        }
    }

    /// With its prefix `alias/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyIdentifier {
    /// Reads the request member `KeyId` in any of its four forms.
    ///
    /// # Errors
    /// When it is none of them or names another region or account.
    pub fn parse(text: &str, realm: &Realm) -> Result<Self, KeyIdentifierError> {
        let resource = match text.strip_prefix("arn:") {
            Some(rest) => return Self::parse_arn(text, rest, realm),
            None => text,
        };
        if resource.starts_with("alias/") {
            return Ok(Self::Alias(AliasName::parse(resource).map_err(|_| malformed(text))?));
        }
        resource.parse().map(Self::Key)
    }

    fn parse_arn(text: &str, rest: &str, realm: &Realm) -> Result<Self, KeyIdentifierError> {
        let mut parts = rest.splitn(5, ':');
        let expected = [
            ("partition", &*realm.partition),
            ("service", "kms"),
            ("region", &*realm.region),
            ("account", &*realm.account),
        ];
        for (part, expected) in expected {
            let actual = parts.next().unwrap_or_default();
            if actual != expected {
                return Err(KeyIdentifierError::AnotherRealm {
                    part,
                    expected: expected.to_owned(),
                    actual: shorten(actual),
                });
            }
        }
        let resource = parts.next().ok_or_else(|| malformed(text))?;
        match resource.strip_prefix("key/") {
            Some(id) => id.parse().map(Self::Key).map_err(|_| malformed(text)),
            None => AliasName::parse(resource).map(Self::Alias).map_err(|_| malformed(text)),
        }
    }
}

fn malformed(text: &str) -> KeyIdentifierError {
    KeyIdentifierError::Malformed(shorten(text))
}

impl KeyArn {
    /// The key's id.
    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn realm() -> Realm {
        Realm::new("us-east-1", "111122223333").unwrap()
    }

    #[test]
    fn the_four_forms_name_the_same_things() {
        let id = KeyId::from_random_bytes([7; 16]);
        let arn = realm().key_arn(id).to_string();
        assert_eq!(KeyIdentifier::parse(&id.to_string(), &realm()), Ok(KeyIdentifier::Key(id)));
        assert_eq!(KeyIdentifier::parse(&arn, &realm()), Ok(KeyIdentifier::Key(id)));
        let alias = AliasName::parse("alias/a/b_c-9").unwrap();
        let arn = realm().alias_arn(&alias);
        assert_eq!(KeyIdentifier::parse("alias/a/b_c-9", &realm()), Ok(KeyIdentifier::Alias(alias.clone())));
        assert_eq!(KeyIdentifier::parse(&arn, &realm()), Ok(KeyIdentifier::Alias(alias)));
    }

    #[test]
    fn other_realms_and_forms_are_refused() {
        let id = KeyId::from_random_bytes([0xab; 16]);
        let elsewhere = Realm::new("eu-west-1", "111122223333").unwrap().key_arn(id).to_string();
        assert_eq!(
            KeyIdentifier::parse(&elsewhere, &realm()),
            Err(KeyIdentifierError::AnotherRealm {
                part: "region",
                expected: "us-east-1".to_owned(),
                actual: "eu-west-1".to_owned(),
            })
        );
        for text in ["", "arn:", "alias/", "alias/aws/x", "alias/a b", "{x}", &id.to_string().to_uppercase()]
        {
            assert!(KeyIdentifier::parse(text, &realm()).is_err(), "{text}");
        }
        assert!(Realm::new("US", "111122223333").is_err());
        assert!(Realm::new("us-east-1", "1").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), tail in "[a-z0-9:/-]{0,60}") {
            let _ = KeyIdentifier::parse(&text, &realm());
            let _ = KeyIdentifier::parse(&format!("arn:aws:kms:{tail}"), &realm());
        }
    }
}
