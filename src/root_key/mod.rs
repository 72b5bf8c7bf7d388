//! The root key: what every key's material is wrapped under.
//!
//! The store holds material in wrapped form only, so that a copy of the database is worth nothing without the root
//! key, which is kept elsewhere.

mod file;

pub(crate) use file::write_private_file;
pub use file::{FileRootKey, RootKeyFileError};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::keys::{KeyId, KeySpec, NewMaterial, WrappedKeyMaterial};

/// Whoever can wrap and unwrap key material.
///
/// `context` says what is wrapped. It is authenticated and not secret; the same context must be given to unwrap.
#[async_trait]
pub trait RootKey: Send + Sync {
    /// The wrapped form of `plaintext`.
    async fn wrap(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, RootKeyError>;

    /// The plaintext of a wrapped form.
    async fn unwrap_key(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RootKeyError>;
}

/// New random material for the symmetric encryption key `key`, which has left no trace in the clear.
///
/// # Errors
/// When the random generator or the root key fails.
pub async fn wrap_new_material(
    root_key: &dyn RootKey,
    key: KeyId,
) -> Result<WrappedKeyMaterial, RootKeyError> {
    wrap_material(root_key, key, &NewMaterial::generate(KeySpec::SymmetricDefault)?).await
}

/// The wrapped form of `material`, made for `key`.
///
/// # Errors
/// When the root key fails.
pub async fn wrap_material(
    root_key: &dyn RootKey,
    key: KeyId,
    material: &NewMaterial,
) -> Result<WrappedKeyMaterial, RootKeyError> {
    let context = material.id().wrapping_context(key);
    let wrapped = root_key.wrap(&context, material.expose()).await?;
    Ok(WrappedKeyMaterial::new(*material.id(), wrapped))
}

/// Wrapping or unwrapping failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyError {
    /// The wrapped form was altered, belongs to something else, or was made by another root key.
    #[error("the root key does not open what is wrapped: it was altered or belongs to another root key")]
    Unwrap,
    /// A primitive failed.
    #[error("the root key cannot wrap: {0}")]
    Crypto(#[from] crate::crypto::CryptoError),
}
