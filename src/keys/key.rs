use std::sync::Arc;
use std::time::Duration;

use super::key_identifier::{KeyArn, KeyId};
use super::key_spec::{KeyOrigin, KeySpec, KeyUsage};
use super::material::{KeyMaterialId, WrappedKeyMaterial};
use crate::policy::KeyPolicy;
use crate::time::UnixTime;

/// Characters of a description at most (KMS API reference, *CreateKey*, `Description`).
pub const MAX_DESCRIPTION_LEN: usize = 8192;

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
    /// Every version of its material, the current one last; never empty.
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
    /// Not to be deleted.
    #[error("{0} is not pending deletion.")]
    NotPendingDeletion(KeyArn),
}

impl Key {
    /// Requires a state in which the key may be used for cryptography.
    ///
    /// # Errors
    /// With the state that forbids it.
    pub fn require_enabled(&self) -> Result<(), KeyStateError> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KeyStateError::Disabled(self.arn.clone())),
            KeyState::PendingDeletion => Err(KeyStateError::PendingDeletion(self.arn.clone())),
        }
    }

    /// Requires a state in which the key may be changed.
    ///
    /// # Errors
    /// [`KeyStateError::PendingDeletion`].
    pub fn require_not_pending_deletion(&self) -> Result<(), KeyStateError> {
        match self.state {
            KeyState::Enabled | KeyState::Disabled => Ok(()),
            KeyState::PendingDeletion => Err(KeyStateError::PendingDeletion(self.arn.clone())),
        }
    }

    /// The material that new ciphertexts are sealed under.
    pub fn current_material(&self) -> Option<&WrappedKeyMaterial> {
        self.materials.last()
    }

    /// The material with this id, current or not.
    pub fn material(&self, id: &KeyMaterialId) -> Option<&WrappedKeyMaterial> {
        self.materials.iter().find(|material| material.id() == id)
    }
}

impl KeyState {
    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
            KeyState::PendingDeletion => "PendingDeletion",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [KeyState::Enabled, KeyState::Disabled, KeyState::PendingDeletion]
            .into_iter()
            .find(|state| state.name() == name)
    }
}
