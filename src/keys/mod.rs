//! KMS keys: how they are named, what state they are in, and what is done with their material.
//!
//! Material leaves its wrapping only for the one use that its key has, as a type that has no other, and a data key leaves this module only sealed: as a
//! [`CiphertextBlob`] under the broker's key, or as a [`CiphertextForRecipient`] under the enclave's. Both need a
//! [`Permit`], and there is no way from a [`DataKey`] to its bytes outside this module.

mod algorithm;
mod asymmetric;
mod ciphertext_blob;
mod data_key;
mod data_key_pair;
mod key;
mod key_identifier;
mod key_spec;
mod last_usage;
mod mac;
mod material;
mod new_material;
mod recipient_envelope;
mod unwrapped;

pub use algorithm::{
    EncryptionAlgorithm, EncryptionScheme, KeyAgreementAlgorithm, KeyUsageError, MacAlgorithm,
    SigningAlgorithm,
};
pub use asymmetric::{
    AgreementKey, DecryptionKey, InvalidPeerKey, PeerKey, SigningKey, decrypt, derive_shared_secret, encrypt,
    sign, verify,
};
pub use ciphertext_blob::{BlobError, CiphertextBlob, MAX_CIPHERTEXT_BLOB_LEN, open, seal};
pub use data_key::{DataKey, MAX_DATA_KEY_LEN};
pub use data_key_pair::{DATA_KEY_PAIR_SPECS, DataKeyPair};
pub use key::{AutomaticRotation, Key, KeyState, KeyStateError, MAX_DESCRIPTION_LEN, MAX_TAGS, OriginError};
pub use key_identifier::{
    AliasName, InvalidAliasName, InvalidRealm, KeyArn, KeyId, KeyIdentifier, KeyIdentifierError, Realm,
};
pub use key_spec::{KeyKind, KeyKindError, KeyOrigin, KeySpec, KeyUsage};
pub use last_usage::{LastUsage, is_tracked_usage};
pub use mac::{MacKey, mac, verify_mac};
pub use material::{
    Import, KeyMaterial, KeyMaterialId, MAX_ON_DEMAND_ROTATIONS, Rotation, RotationKind, WrappedKeyMaterial,
};
pub use new_material::{ImportedMaterialError, NewMaterial};
pub use recipient_envelope::{CiphertextForRecipient, random_for_recipient, seal_for_recipient};
pub use unwrapped::FromUnwrapped;

use crate::policy::Permit;

/// Key material, a blob or an envelope could not be made or used although nothing was wrong with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] crate::crypto::CryptoError),
    /// The permit was given for another key.
    #[error("the permit is for another key")]
    PermitForAnotherKey,
    /// The permit was given without an attested recipient.
    #[error("the permit names no attested recipient")]
    PermitWithoutRecipient,
}

fn require_permit_for(permit: &Permit, key: &Key) -> Result<(), SealError> {
    if permit.resource() == key.arn.as_str() { Ok(()) } else { Err(SealError::PermitForAnotherKey) }
}
