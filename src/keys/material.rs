use std::fmt;

use zeroize::Zeroizing;

use super::key_identifier::KeyId;
use crate::crypto::{AEAD_KEY_LEN, CryptoError, fill_random};
use crate::time::UnixTime;

/// The id of one version of a key's material: 32 bytes, on the wire 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyMaterialId([u8; 32]);

/// One version of a symmetric encryption key's material, 256 bits. Wiped when dropped.
pub struct KeyMaterial {
    id: KeyMaterialId,
    bytes: Zeroizing<[u8; AEAD_KEY_LEN]>,
}

/// One version of a key's material under the root key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKeyMaterial {
    id: KeyMaterialId,
    wrapped: Vec<u8>,
    rotation: Option<Rotation>,
}

/// How a version of a key's material became the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub date: UnixTime,
    /// At whose word.
    pub kind: RotationKind,
}

/// At whose word a key was rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationKind {
    /// Somebody asked for it.
    OnDemand,
    /// Its period had passed.
    Automatic,
}

impl KeyMaterial {
    /// Material that a root key unwrapped.
    ///
    /// # Errors
    /// When it has another length than 32 bytes.
    pub fn from_unwrapped(id: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        let bytes: [u8; AEAD_KEY_LEN] = unwrapped.try_into().map_err(|_| CryptoError)?;
        Ok(Self { id, bytes: Zeroizing::new(bytes) })
    }

    /// Which version it is.
    pub fn id(&self) -> &KeyMaterialId {
        &self.id
    }

    /// The bytes, for sealing.
    pub(super) fn expose(&self) -> &[u8; AEAD_KEY_LEN] {
        &self.bytes
    }
}

impl WrappedKeyMaterial {
    /// What a root key made of the material `id`.
    pub fn new(id: KeyMaterialId, wrapped: Vec<u8>) -> Self {
        Self { id, wrapped, rotation: None }
    }

    /// The same, become the key's current material by `rotation`.
    pub fn by(self, rotation: Rotation) -> Self {
        Self { rotation: Some(rotation), ..self }
    }

    /// The rotation that made it the current material; `None` of a key's first.
    pub fn rotation(&self) -> Option<Rotation> {
        self.rotation
    }

    /// Which version it is.
    pub fn id(&self) -> &KeyMaterialId {
        &self.id
    }

    /// The wrapped bytes.
    pub fn wrapped(&self) -> &[u8] {
        &self.wrapped
    }
}

impl RotationKind {
    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnDemand => "ON_DEMAND",
            Self::Automatic => "AUTOMATIC",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OnDemand, Self::Automatic].into_iter().find(|kind| kind.name() == name)
    }
}

impl KeyMaterialId {
    /// A new random id.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn generate() -> Result<Self, CryptoError> {
        let mut id = [0; 32];
        fill_random(&mut id)?;
        Ok(Self(id))
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the wrapping of this version of `key` is bound to, so that material moved to another key or version in
    /// the store does not unwrap.
    pub fn wrapping_context(&self, key: KeyId) -> Vec<u8> {
        [b"nitro-key-broker key material v1\0".as_slice(), key.as_bytes(), &self.0].concat()
    }
}

impl fmt::Display for KeyMaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyMaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterialId({self})")
    }
}

impl fmt::Debug for WrappedKeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKeyMaterial({})", self.id)
    }
}
