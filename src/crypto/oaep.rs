use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use super::CryptoError;

/// An RSA public key for RSAES-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017 section 7.1).
pub struct OaepKey(OaepPublicEncryptingKey);

impl OaepKey {
    /// Reads a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is not an RSA key that the primitive accepts (2048 to 8192 bits).
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, CryptoError> {
        let key = PublicEncryptingKey::from_der(spki).map_err(|_| CryptoError)?;
        Ok(Self(OaepPublicEncryptingKey::new(key)?))
    }

    /// The plaintext encrypted to this key; as long as the modulus.
    ///
    /// # Errors
    /// When the plaintext is longer than the padding allows.
    pub fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut ciphertext = vec![0; self.0.ciphertext_size()];
        let length =
            self.0.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut ciphertext, None)?.len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }
}
