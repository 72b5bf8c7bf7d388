use zeroize::Zeroizing;

use super::key_spec::KeySpec;
use super::material::KeyMaterialId;
use crate::crypto::{AEAD_KEY_LEN, CryptoError, fill_random, generate_key_pair};

/// Material that was just made, in the clear until a root key wraps it: random bytes, or a PKCS#8 private key. Wiped
/// when dropped.
pub struct NewMaterial {
    id: KeyMaterialId,
    bytes: Zeroizing<Vec<u8>>,
    public_key: Option<Vec<u8>>,
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
