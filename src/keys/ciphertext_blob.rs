use super::data_key::DataKey;
use super::key::Key;
use super::key_identifier::KeyId;
use super::material::{KeyMaterial, KeyMaterialId};
use super::{SealError, require_permit_for};
use crate::crypto::{
    AEAD_KEY_LEN, AEAD_NONCE_LEN, AEAD_TAG_LEN, AeadKey, CryptoError, fill_random, hkdf_sha256,
};
use crate::encryption_context::EncryptionContext;
use crate::policy::Permit;

/// Bytes of a `CiphertextBlob` at most (KMS API reference).
pub const MAX_CIPHERTEXT_BLOB_LEN: usize = 6144;

const VERSION_1: u8 = 1;
const KEY_ID_LEN: usize = 16;
const MATERIAL_ID_LEN: usize = 32;
const NONCE_LEN: usize = 16;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + MATERIAL_ID_LEN + NONCE_LEN;
/// Distinguishes this use of key material from any other.
const DERIVATION_LABEL: &[u8] = b"nitro-key-broker CiphertextBlob v1\0";

/// A data key sealed under a key of the broker.
///
/// ```text
/// version 01 │ key id, 16 bytes │ key material id, 32 bytes │ nonce, 16 bytes │ AES-256-GCM ciphertext ‖ tag
/// ```
///
/// A key and GCM nonce for this one message are derived from the key material (HKDF-SHA-256, salt = the random nonce,
/// info = a label and the key id), so random nonces never near a birthday limit. The associated data are the header and
/// the canonical encryption context: a blob that is moved to another key, or presented with another context, does not
/// open. `docs/ciphertext-blob.md` writes the format down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiphertextBlob {
    bytes: Vec<u8>,
    key_id: KeyId,
    material_id: KeyMaterialId,
}

/// Why bytes are no blob of this broker, or do not open. Which part of an authenticated decryption failed is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// Shorter than its fixed parts and one byte, or longer than KMS allows.
    #[error("a CiphertextBlob has {min} to {max} bytes, found {actual}")]
    Length {
        /// The least.
        min: usize,
        /// The most.
        max: usize,
        /// What was found.
        actual: usize,
    },
    /// Not of a version that this broker writes.
    #[error("expected CiphertextBlob version 1, found {actual}")]
    Version {
        /// The byte found.
        actual: u8,
    },
    /// The blob was altered, or the encryption context is another than at sealing.
    #[error("the CiphertextBlob does not open: it was altered or the encryption context differs")]
    Authentication,
    /// The ciphertext of an asymmetric key was altered, or made for another key or with another algorithm.
    #[error(
        "the ciphertext does not open: it was altered, or made for another key or with another algorithm"
    )]
    Asymmetric,
    /// Nothing was wrong with the blob.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals `plaintext` under `material`, which is a version of `key`'s.
///
/// # Errors
/// When the permit is for another key or a primitive fails.
pub fn seal(
    permit: &Permit,
    key: &Key,
    material: &KeyMaterial,
    context: &EncryptionContext,
    plaintext: &DataKey,
) -> Result<CiphertextBlob, SealError> {
    require_permit_for(permit, key)?;
    let mut nonce = [0; NONCE_LEN];
    fill_random(&mut nonce)?;
    let mut bytes = vec![VERSION_1];
    bytes.extend_from_slice(key.id.as_bytes());
    bytes.extend_from_slice(material.id().as_bytes());
    bytes.extend_from_slice(&nonce);
    let (message_key, message_nonce) = derive(material, &nonce, key.id)?;
    let aad = associated_data(&bytes, context);
    bytes.extend(message_key.seal(&message_nonce, &aad, plaintext.expose())?);
    Ok(CiphertextBlob { bytes, key_id: key.id, material_id: *material.id() })
}

/// Opens `blob` with `material`, which is the version of `key`'s that it names.
///
/// # Errors
/// [`BlobError::Authentication`] when anything differs from sealing.
pub fn open(
    permit: &Permit,
    key: &Key,
    material: &KeyMaterial,
    context: &EncryptionContext,
    blob: &CiphertextBlob,
) -> Result<DataKey, BlobError> {
    require_permit_for(permit, key)?;
    if blob.key_id != key.id || blob.material_id != *material.id() {
        return Err(BlobError::Authentication);
    }
    let (header, ciphertext) = blob.bytes.split_at_checked(HEADER_LEN).ok_or(BlobError::Authentication)?;
    let nonce = header.last_chunk::<NONCE_LEN>().ok_or(BlobError::Authentication)?;
    let (message_key, message_nonce) = derive(material, nonce, key.id).map_err(SealError::from)?;
    let plaintext = message_key
        .open(&message_nonce, &associated_data(header, context), ciphertext)
        .map_err(|CryptoError| BlobError::Authentication)?;
    Ok(DataKey::from_opened(plaintext))
}

impl CiphertextBlob {
    /// Reads the header; nothing of it is authenticated before [`open`].
    ///
    /// # Errors
    /// When the length or version is none that this broker writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BlobError> {
        let min = HEADER_LEN + AEAD_TAG_LEN + 1;
        if !(min..=MAX_CIPHERTEXT_BLOB_LEN).contains(&bytes.len()) {
            return Err(BlobError::Length { min, max: MAX_CIPHERTEXT_BLOB_LEN, actual: bytes.len() });
        }
        let too_short = || BlobError::Length { min, max: MAX_CIPHERTEXT_BLOB_LEN, actual: bytes.len() };
        let (version, rest) = bytes.split_first().ok_or_else(too_short)?;
        if *version != VERSION_1 {
            return Err(BlobError::Version { actual: *version });
        }
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_LEN>().ok_or_else(too_short)?;
        let (material_id, _) = rest.split_first_chunk::<MATERIAL_ID_LEN>().ok_or_else(too_short)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            key_id: KeyId::from_bytes(*key_id),
            material_id: KeyMaterialId::from_bytes(*material_id),
        })
    }

    /// The key that the blob says it is sealed under.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The version of that key's material that the blob says it is sealed under.
    pub fn material_id(&self) -> &KeyMaterialId {
        &self.material_id
    }

    /// The blob as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn derive(
    material: &KeyMaterial,
    nonce: &[u8; NONCE_LEN],
    key_id: KeyId,
) -> Result<(AeadKey, [u8; AEAD_NONCE_LEN]), CryptoError> {
    const OUTPUT_LEN: usize = AEAD_KEY_LEN + AEAD_NONCE_LEN;
    let output = hkdf_sha256::<OUTPUT_LEN>(nonce, material.expose(), &[DERIVATION_LABEL, key_id.as_bytes()])?;
    let (key, rest) = output.split_first_chunk::<AEAD_KEY_LEN>().ok_or(CryptoError)?;
    let nonce = rest.first_chunk::<AEAD_NONCE_LEN>().ok_or(CryptoError)?;
    Ok((AeadKey::new(key)?, *nonce))
}

fn associated_data(header: &[u8], context: &EncryptionContext) -> Vec<u8> {
    [header, &context.canonical_bytes()].concat()
}
