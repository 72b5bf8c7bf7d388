use std::fmt;

use zeroize::Zeroizing;

use super::key_identifier::KeyId;
use crate::crypto::{AEAD_KEY_LEN, CryptoError, fill_random, sha256};
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
    /// None where imported material was deleted or has expired, until it is imported again.
    wrapped: Option<Vec<u8>>,
    rotation: Option<Rotation>,
    import: Option<Import>,
    is_pending_rotation: bool,
}

/// What came along with imported material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// When it is deleted by itself.
    pub valid_to: Option<UnixTime>,
    /// What its owner calls it.
    pub description: Option<String>,
}

/// How a version of a key's material became the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub date: UnixTime,
    /// At whose word.
    pub kind: RotationKind,
}

/// Rotations on demand of one key at most (KMS developer guide, *Perform on-demand key rotation*).
pub const MAX_ON_DEMAND_ROTATIONS: u32 = 25;

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
        Self { id, wrapped: Some(wrapped), rotation: None, import: None, is_pending_rotation: false }
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

    /// The wrapped bytes; `None` where they were deleted.
    pub fn wrapped(&self) -> Option<&[u8]> {
        self.wrapped.as_deref()
    }

    /// The same, imported.
    pub fn imported(self, import: Import) -> Self {
        Self { import: Some(import), ..self }
    }

    /// The same, imported and not yet the key's current material: a rotation on demand makes it that.
    pub fn pending_rotation(self) -> Self {
        Self { is_pending_rotation: true, ..self }
    }

    /// The same without its bytes.
    pub fn deleted(self) -> Self {
        Self { wrapped: None, ..self }
    }

    /// What came along with imported material; `None` of material that was made here.
    pub fn import(&self) -> Option<&Import> {
        self.import.as_ref()
    }

    /// Whether it awaits the rotation that makes it the current material.
    pub fn is_pending_rotation(&self) -> bool {
        self.is_pending_rotation
    }

    /// Whether it is there at `now`: not deleted, and not expired.
    pub fn is_there(&self, now: UnixTime) -> bool {
        let valid_to = self.import.as_ref().and_then(|import| import.valid_to);
        self.wrapped.is_some() && valid_to.is_none_or(|valid_to| now < valid_to)
    }
}

impl Import {
    /// Whether it expires, as KMS says it (KMS API reference, *ImportKeyMaterial*, `ExpirationModel`).
    pub const fn expiration_model(&self) -> &'static str {
        match self.valid_to {
            Some(_) => "KEY_MATERIAL_EXPIRES",
            None => "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }
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

    /// The id of material that was imported into `key`: the same material has the same id, whenever it comes. Whoever
    /// knows the id can check a guess, as in KMS; material of 256 random bits cannot be guessed.
    pub fn of_imported(key: KeyId, material: &[u8]) -> Self {
        Self(sha256(&[b"nitro-key-broker imported key material v1\0", key.as_bytes(), material]))
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
