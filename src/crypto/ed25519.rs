use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::{CryptoError, fill_random};

/// Bytes of a private key's seed (RFC 8032 section 5.1.5).
pub const ED25519_SEED_LEN: usize = 32;
/// Bytes of an encoded public key.
pub const ED25519_PUBLIC_KEY_LEN: usize = 32;
/// Bytes of a signature.
pub const ED25519_SIGNATURE_LEN: usize = 64;

/// An Ed25519 private key in its bare form, for formats that know no PKCS#8.
pub struct Ed25519PrivateKey(Ed25519KeyPair);

impl Ed25519PrivateKey {
    /// The key of this seed.
    ///
    /// # Errors
    /// When the primitive fails.
    pub fn from_seed(seed: &[u8; ED25519_SEED_LEN]) -> Result<Self, CryptoError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| CryptoError)
    }

    /// A new random seed.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn generate_seed() -> Result<Zeroizing<[u8; ED25519_SEED_LEN]>, CryptoError> {
        let mut seed = Zeroizing::new([0; ED25519_SEED_LEN]);
        fill_random(&mut *seed)?;
        Ok(seed)
    }

    /// The public half.
    ///
    /// # Errors
    /// Never as the primitive is now.
    pub fn public_key(&self) -> Result<[u8; ED25519_PUBLIC_KEY_LEN], CryptoError> {
        self.0.public_key().as_ref().try_into().map_err(|_| CryptoError)
    }

    /// The signature of a message.
    ///
    /// # Errors
    /// When the primitive fails.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; ED25519_SIGNATURE_LEN], CryptoError> {
        self.0.try_sign(message)?.as_ref().try_into().map_err(|_| CryptoError)
    }
}

/// Whether `signature` is that of `public_key` over `message`.
pub fn verify_ed25519(
    public_key: &[u8; ED25519_PUBLIC_KEY_LEN],
    message: &[u8],
    signature: &[u8; ED25519_SIGNATURE_LEN],
) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}
