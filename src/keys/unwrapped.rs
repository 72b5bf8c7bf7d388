use super::key::Key;
use super::key_spec::{KeySpec, KeyUsage};
use super::material::{KeyMaterial, KeyMaterialId};
use crate::crypto::CryptoError;

/// What a key's unwrapped material becomes: a type for each use, none of which does another's work.
///
/// It reads the key's spec and usage for itself, so that no caller can have a signing key decrypt.
pub trait FromUnwrapped: Sized {
    /// Takes what a root key unwrapped, the version `id` of `key`'s material.
    ///
    /// # Errors
    /// When the key is not for this use, or the bytes are not of its spec.
    fn from_unwrapped(key: &Key, id: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError>;
}

impl FromUnwrapped for KeyMaterial {
    fn from_unwrapped(key: &Key, id: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        match (key.spec, key.usage) {
            (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt) => Self::from_unwrapped(id, unwrapped),
            _ => Err(CryptoError),
        }
    }
}
