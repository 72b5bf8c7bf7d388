//! The encryption context: pairs that are bound to a ciphertext and shown to policy and audit, but not secret.

use std::collections::BTreeMap;

/// Bytes of all keys and values at most. KMS documents 8,192 for the context in its serialized form.
pub const MAX_ENCRYPTION_CONTEXT_LEN: usize = 8192;

/// Non-secret string pairs, case-sensitive, whose order does not matter (KMS developer guide, *Encryption context*).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct EncryptionContext {
    pairs: BTreeMap<String, String>,
}

/// The pairs together are longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encryption context has {actual} bytes, at most {MAX_ENCRYPTION_CONTEXT_LEN} are allowed")]
pub struct EncryptionContextTooLong {
    /// Bytes of all keys and values.
    pub actual: usize,
}

impl EncryptionContext {
    /// No pairs.
    pub const EMPTY: Self = Self { pairs: BTreeMap::new() };

    /// # Errors
    /// When keys and values together pass [`MAX_ENCRYPTION_CONTEXT_LEN`].
    pub fn new(pairs: BTreeMap<String, String>) -> Result<Self, EncryptionContextTooLong> {
        let actual = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        if actual > MAX_ENCRYPTION_CONTEXT_LEN {
            return Err(EncryptionContextTooLong { actual });
        }
        Ok(Self { pairs })
    }

    /// The value of `key`, compared by case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs.keys().map(String::as_str)
    }

    /// All pairs in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs; the same as no context.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// One byte string for each context and no other: the number of pairs, then, sorted by key, each key and value
    /// behind its length. Numbers are 32-bit big-endian.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = number(self.pairs.len()).to_vec();
        for text in self.pairs.iter().flat_map(|(key, value)| [key, value]) {
            bytes.extend_from_slice(&number(text.len()));
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn different_contexts_have_different_bytes(
            one in proptest::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
            other in proptest::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
        ) {
            let bytes = |pairs: &BTreeMap<_, _>| EncryptionContext::new(pairs.clone()).unwrap().canonical_bytes();
            prop_assert_eq!(one == other, bytes(&one) == bytes(&other));
        }
    }

    #[test]
    fn the_length_limit_counts_keys_and_values() {
        let pairs = |length| BTreeMap::from([("k".to_owned(), "v".repeat(length))]);
        assert!(EncryptionContext::new(pairs(8191)).is_ok());
        assert_eq!(EncryptionContext::new(pairs(8192)), Err(EncryptionContextTooLong { actual: 8193 }));
    }
}
