//! The RSA key pair to which a broker encrypts.

use std::fmt;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// The sizes that AWS KMS takes as a recipient key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecipientKeySize {
    /// 2048 bits, what every enclave client uses.
    #[default]
    Rsa2048,
    /// 3072 bits.
    Rsa3072,
    /// 4096 bits.
    Rsa4096,
}

/// An RSA key pair for RSAES-OAEP with SHA-256. The private half is in aws-lc's memory, which clears it when freed.
pub struct RecipientKey {
    private: PrivateDecryptingKey,
    spki_der: Vec<u8>,
    key_identifier: [u8; SHA256_OUTPUT_LEN],
}

impl RecipientKey {
    /// Makes a new key: about 0.1 s for 2048 bits.
    ///
    /// # Errors
    /// When the cryptographic module fails.
    pub fn generate(size: RecipientKeySize) -> Result<Self, RecipientKeyError> {
        let size = match size {
            RecipientKeySize::Rsa2048 => KeySize::Rsa2048,
            RecipientKeySize::Rsa3072 => KeySize::Rsa3072,
            RecipientKeySize::Rsa4096 => KeySize::Rsa4096,
        };
        Self::from_private(PrivateDecryptingKey::generate(size).map_err(|_| RecipientKeyError::Generate)?)
    }

    /// Reads a key in PKCS#8 (RFC 5208), DER. For development: an enclave's own key is never at rest.
    ///
    /// # Errors
    /// When `pkcs8_der` is not an RSA key of 2048 to 8192 bits.
    pub fn from_pkcs8_der(pkcs8_der: &[u8]) -> Result<Self, RecipientKeyError> {
        Self::from_private(PrivateDecryptingKey::from_pkcs8(pkcs8_der).map_err(|_| RecipientKeyError::Pkcs8)?)
    }

    /// The private key in PKCS#8, DER. For development: with it, anyone opens what a broker released to this key.
    ///
    /// # Errors
    /// When the cryptographic module fails.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, RecipientKeyError> {
        let der: Pkcs8V1Der<'static> = self.private.as_der().map_err(|_| RecipientKeyError::Encode)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key as a DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7): a document's `public_key`.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// SHA-256 of [`spki_der`](Self::spki_der): how an envelope names its recipient.
    pub fn key_identifier(&self) -> &[u8; SHA256_OUTPUT_LEN] {
        &self.key_identifier
    }

    /// The length of the modulus, and so of every encrypted key, in bytes.
    pub fn modulus_bytes(&self) -> usize {
        self.private.key_size_bytes()
    }

    /// Opens RSAES-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017, section 7.1.2), empty label.
    pub(crate) fn unwrap_key(&self, encrypted_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, OaepError> {
        let key = OaepPrivateDecryptingKey::new(self.private.clone()).map_err(|_| OaepError)?;
        let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_key, &mut buffer, None)
            .map_err(|_| OaepError)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn from_private(private: PrivateDecryptingKey) -> Result<Self, RecipientKeyError> {
        let spki = private.public_key().as_der().map_err(|_| RecipientKeyError::Encode)?;
        let spki_der = spki.as_ref().to_vec();
        let mut key_identifier = [0; SHA256_OUTPUT_LEN];
        key_identifier.copy_from_slice(digest(&SHA256, &spki_der).as_ref());
        Ok(Self { private, spki_der, key_identifier })
    }
}

/// The key's size and identifier.
impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipientKey")
            .field("bits", &self.private.key_size_bits())
            .field("key_identifier", &hex::encode(self.key_identifier))
            .finish_non_exhaustive()
    }
}

/// The ciphertext was not made for this key, or was altered. Nothing more is said, lest it become an oracle.
#[derive(Debug)]
pub(crate) struct OaepError;

/// Why there is no recipient key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecipientKeyError {
    /// The cryptographic module made none.
    #[error("the cryptographic module could not generate an RSA key")]
    Generate,
    /// The bytes are not an RSA key.
    #[error("not an RSA private key of 2048 to 8192 bits in PKCS#8, DER")]
    Pkcs8,
    /// The cryptographic module did not encode the key.
    #[error("the cryptographic module could not encode the RSA key")]
    Encode,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_pkcs8_and_has_the_size_asked_for() {
        for (size, modulus_bytes) in [(RecipientKeySize::Rsa2048, 256), (RecipientKeySize::Rsa3072, 384)] {
            let key = RecipientKey::generate(size).unwrap();
            assert_eq!(key.modulus_bytes(), modulus_bytes);
            let read = RecipientKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
            assert_eq!(read.spki_der(), key.spki_der());
            assert_eq!(read.key_identifier(), key.key_identifier());
        }
        assert_eq!(RecipientKey::from_pkcs8_der(b"no key").unwrap_err(), RecipientKeyError::Pkcs8);
    }
}
