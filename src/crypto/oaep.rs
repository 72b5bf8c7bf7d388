use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use super::CryptoError;

/// The digest of RSAES-OAEP and of its MGF1 (RFC 8017 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OaepDigest {
    /// SHA-1, whose collisions do not matter here.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// An RSA public key for RSAES-OAEP.
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
    pub fn encrypt(&self, digest: OaepDigest, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut ciphertext = vec![0; self.0.ciphertext_size()];
        let length = self.0.encrypt(digest.algorithm(), plaintext, &mut ciphertext, None)?.len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }
}

/// An RSA private key for RSAES-OAEP.
pub struct OaepPrivateKey(OaepPrivateDecryptingKey);

impl OaepPrivateKey {
    /// Reads a PKCS#8 PrivateKeyInfo.
    ///
    /// # Errors
    /// When it is not an RSA key that the primitive accepts.
    pub fn from_pkcs8(private_key: &[u8]) -> Result<Self, CryptoError> {
        let key = PrivateDecryptingKey::from_pkcs8(private_key).map_err(|_| CryptoError)?;
        Ok(Self(OaepPrivateDecryptingKey::new(key)?))
    }

    /// Bytes of the modulus.
    pub fn modulus_len(&self) -> usize {
        self.0.key_size_bytes()
    }

    /// What was encrypted to the public half.
    ///
    /// # Errors
    /// When the ciphertext is none of this key and digest.
    pub fn decrypt(&self, digest: OaepDigest, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut plaintext = Zeroizing::new(vec![0; self.0.min_output_size()]);
        let length = self.0.decrypt(digest.algorithm(), ciphertext, &mut plaintext, None)?.len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

impl OaepDigest {
    /// Bytes of a plaintext at most, for a modulus of this many bytes (RFC 8017 section 7.1.1).
    pub const fn max_plaintext_len(self, modulus_len: usize) -> usize {
        let digest_len = match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        };
        modulus_len.saturating_sub(2 * digest_len + 2)
    }

    fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha1 => &OAEP_SHA1_MGF1SHA1,
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}
