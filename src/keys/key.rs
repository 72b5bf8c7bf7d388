use std::sync::Arc;
use std::time::Duration;

use super::key_identifier::{KeyArn, KeyId};
use super::key_spec::{KeyOrigin, KeySpec, KeyUsage};
use super::material::{KeyMaterialId, WrappedKeyMaterial};
use crate::policy::KeyPolicy;
use crate::time::UnixTime;

/// Characters of a description at most (KMS API reference, *CreateKey*, `Description`).
pub const MAX_DESCRIPTION_LEN: usize = 8192;

/// Tags of a key at most (KMS developer guide, *Tags in AWS KMS*).
pub const MAX_TAGS: usize = 50;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A KMS key with everything that a decision about it needs. Its material stays wrapped.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key's id.
    pub id: KeyId,
    /// The key's ARN.
    pub arn: KeyArn,
    /// Whether it may be used at all.
    pub state: KeyState,
    /// What it is made of.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: KeyOrigin,
    /// DER SubjectPublicKeyInfo of an asymmetric key.
    pub public_key: Option<Vec<u8>>,
    /// Free text, at most [`MAX_DESCRIPTION_LEN`] characters.
    pub description: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when on it may be destroyed, while it is pending deletion.
    pub deletion_at: Option<UnixTime>,
    /// Whether and when it is rotated by itself.
    pub rotation: Option<AutomaticRotation>,
    /// Who may use it for what.
    pub policy: Arc<KeyPolicy>,
    /// Every version of its material in their order; behind the current one at most one that awaits its rotation. Empty
    /// only of a key whose material is still to be imported.
    pub materials: Vec<WrappedKeyMaterial>,
}

/// A key's rotation by itself (KMS developer guide, *Enable automatic key rotation*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutomaticRotation {
    /// Days between two rotations, 90 to 2,560.
    pub period_days: u32,
    /// From when on the next is due.
    pub next_at: UnixTime,
}

impl AutomaticRotation {
    /// One that is due for the first time a whole period after `now`.
    pub fn starting(now: UnixTime, period_days: u32) -> Self {
        Self { period_days, next_at: now.saturating_add(DAY * period_days) }
    }
}

/// A key's state (KMS developer guide, *Key states*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Usable.
    Enabled,
    /// Switched off.
    Disabled,
    /// To be deleted after a waiting period.
    PendingDeletion,
    /// Without some of its material, which is to be imported. It follows from the material and is not stored.
    PendingImport,
}

/// Why a key cannot be used in its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyStateError {
    /// Switched off.
    #[error("{0} is disabled.")]
    Disabled(KeyArn),
    /// To be deleted.
    #[error("{0} is pending deletion.")]
    PendingDeletion(KeyArn),
    /// Without some of its material.
    #[error("{0} is pending import.")]
    PendingImport(KeyArn),
    /// Not to be deleted.
    #[error("{0} is not pending deletion.")]
    NotPendingDeletion(KeyArn),
}

/// An operation does not go with where a key's material comes from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{arn} origin is {} which is not valid for this operation.", .actual.name())]
pub struct OriginError {
    /// The key.
    pub arn: KeyArn,
    /// Where its material comes from.
    pub actual: KeyOrigin,
}

impl Key {
    /// Requires material that is imported.
    ///
    /// # Errors
    /// With the origin that it has.
    pub fn require_external(&self) -> Result<(), OriginError> {
        self.require_origin(KeyOrigin::External)
    }

    /// Requires material that is made here.
    ///
    /// # Errors
    /// With the origin that it has.
    pub fn require_made_here(&self) -> Result<(), OriginError> {
        self.require_origin(KeyOrigin::AwsKms)
    }

    fn require_origin(&self, origin: KeyOrigin) -> Result<(), OriginError> {
        let error = || OriginError { arn: self.arn.clone(), actual: self.origin };
        if self.origin == origin { Ok(()) } else { Err(error()) }
    }

    /// The state at `now`: the stored one, unless imported material is missing.
    pub fn state_at(&self, now: UnixTime) -> KeyState {
        let is_complete = || !self.materials.is_empty() && self.materials.iter().all(|one| one.is_there(now));
        match (self.state, self.origin) {
            (KeyState::Enabled | KeyState::Disabled, KeyOrigin::External) if !is_complete() => {
                KeyState::PendingImport
            }
            (state, _) => state,
        }
    }

    /// Requires a state in which the key may be used for cryptography.
    ///
    /// # Errors
    /// With the state that forbids it.
    pub fn require_enabled(&self, now: UnixTime) -> Result<(), KeyStateError> {
        match self.state_at(now) {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KeyStateError::Disabled(self.arn.clone())),
            KeyState::PendingDeletion => Err(KeyStateError::PendingDeletion(self.arn.clone())),
            KeyState::PendingImport => Err(KeyStateError::PendingImport(self.arn.clone())),
        }
    }

    /// Requires a state in which the key may be changed.
    ///
    /// # Errors
    /// [`KeyStateError::PendingDeletion`].
    pub fn require_not_pending_deletion(&self) -> Result<(), KeyStateError> {
        match self.state {
            KeyState::Enabled | KeyState::Disabled | KeyState::PendingImport => Ok(()),
            KeyState::PendingDeletion => Err(KeyStateError::PendingDeletion(self.arn.clone())),
        }
    }

    /// The material that new ciphertexts are sealed under.
    pub fn current_material(&self) -> Option<&WrappedKeyMaterial> {
        self.materials.iter().rfind(|material| !material.is_pending_rotation())
    }

    /// The imported material that the next rotation on demand makes the current one.
    pub fn pending_material(&self) -> Option<&WrappedKeyMaterial> {
        self.materials.iter().find(|material| material.is_pending_rotation())
    }

    /// The material with this id, current or not.
    pub fn material(&self, id: &KeyMaterialId) -> Option<&WrappedKeyMaterial> {
        self.materials.iter().find(|material| material.id() == id)
    }
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Enabled, Self::Disabled, Self::PendingDeletion, Self::PendingImport];

    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
            KeyState::PendingDeletion => "PendingDeletion",
            KeyState::PendingImport => "PendingImport",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
