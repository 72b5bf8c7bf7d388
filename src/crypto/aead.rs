use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::CryptoError;

/// Bytes of an AES-256-GCM key.
pub const AEAD_KEY_LEN: usize = 32;
/// Bytes of an AES-GCM nonce (SP 800-38D section 8.2).
pub const AEAD_NONCE_LEN: usize = 12;
/// Bytes of an AES-GCM tag.
pub const AEAD_TAG_LEN: usize = 16;

/// An AES-256-GCM key (SP 800-38D). The caller owns the rule that a nonce serves once.
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// # Errors
    /// Never for a key of this length; the primitive's own refusal is passed on.
    pub fn new(key: &[u8; AEAD_KEY_LEN]) -> Result<Self, CryptoError> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?)))
    }

    /// Ciphertext followed by its tag.
    ///
    /// # Errors
    /// When the plaintext is longer than the mode allows.
    pub fn seal(
        &self,
        nonce: &[u8; AEAD_NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        // Room for the tag at once: growing would leave a freed copy of the plaintext behind.
        let mut in_out = Zeroizing::new(Vec::with_capacity(plaintext.len() + AEAD_TAG_LEN));
        in_out.extend_from_slice(plaintext);
        self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(aad),
            &mut *in_out,
        )?;
        Ok(std::mem::take(&mut *in_out))
    }

    /// The plaintext of ciphertext followed by its tag.
    ///
    /// # Errors
    /// When key, nonce, associated data or any byte differ from those of sealing.
    pub fn open(
        &self,
        nonce: &[u8; AEAD_NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut in_out = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut in_out)?
            .len();
        in_out.truncate(length);
        Ok(in_out)
    }
}
