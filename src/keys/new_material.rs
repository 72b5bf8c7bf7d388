use zeroize::Zeroizing;

use super::key::Key;
use super::key_spec::KeySpec;
use super::material::KeyMaterialId;
use crate::crypto::{AEAD_KEY_LEN, CryptoError, KeyPairDer, fill_random, generate_key_pair, read_key_pair};

/// Material that was just made, in the clear until a root key wraps it: random bytes, or a PKCS#8 private key. Wiped
/// when dropped.
pub struct NewMaterial {
    id: KeyMaterialId,
    bytes: Zeroizing<Vec<u8>>,
    public_key: Option<Vec<u8>>,
}

/// Why bytes from elsewhere are no material for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportedMaterialError {
    /// Of another length.
    #[error("a key of spec {spec} takes {expected} bytes, found {actual}", spec = .spec.name())]
    Length {
        /// What the key is made of.
        spec: KeySpec,
        /// Bytes of its material.
        expected: usize,
        /// What was found.
        actual: usize,
    },
    /// No private key of the kind.
    #[error("a key of spec {spec} takes its private key in PKCS#8, found something else", spec = .spec.name())]
    KeyPair {
        /// What the key is made of.
        spec: KeySpec,
    },
}

impl NewMaterial {
    /// New random material for a key of this spec. For RSA it takes up to seconds.
    ///
    /// # Errors
    /// When the random generator or a primitive fails.
    pub fn generate(spec: KeySpec) -> Result<Self, CryptoError> {
        let id = KeyMaterialId::generate()?;
        match spec {
            KeySpec::SymmetricDefault => Ok(Self { id, bytes: random(AEAD_KEY_LEN)?, public_key: None }),
            KeySpec::Hmac(digest) => Ok(Self { id, bytes: random(digest.output_len())?, public_key: None }),
            KeySpec::KeyPair(kind) => {
                let pair = generate_key_pair(kind)?;
                Ok(Self { id, bytes: pair.private_key, public_key: Some(pair.public_key) })
            }
        }
    }

    /// Material of `key` that came from elsewhere.
    ///
    /// # Errors
    /// When it is not of the key's spec.
    pub fn imported(key: &Key, bytes: &[u8]) -> Result<Self, ImportedMaterialError> {
        let expected = match key.spec {
            KeySpec::SymmetricDefault => AEAD_KEY_LEN,
            KeySpec::Hmac(digest) => digest.output_len(),
            KeySpec::KeyPair(kind) => {
                let KeyPairDer { private_key, public_key } = read_key_pair(kind, bytes)
                    .map_err(|CryptoError| ImportedMaterialError::KeyPair { spec: key.spec })?;
                let id = KeyMaterialId::of_imported(key.id, &private_key);
                return Ok(Self { id, bytes: private_key, public_key: Some(public_key) });
            }
        };
        if bytes.len() != expected {
            return Err(ImportedMaterialError::Length { spec: key.spec, expected, actual: bytes.len() });
        }
        let id = KeyMaterialId::of_imported(key.id, bytes);
        Ok(Self { id, bytes: Zeroizing::new(bytes.to_vec()), public_key: None })
    }

    /// Which version of the key's material it is to be.
    pub fn id(&self) -> &KeyMaterialId {
        &self.id
    }

    /// DER SubjectPublicKeyInfo of a key pair.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.public_key.as_deref()
    }

    /// The bytes, for a root key to wrap.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    fill_random(&mut bytes)?;
    Ok(bytes)
}
