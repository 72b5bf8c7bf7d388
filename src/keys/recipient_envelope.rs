use zeroize::Zeroizing;

use super::SealError;
use super::data_key::DataKey;
use crate::attestation::{AttestedRecipient, RecipientKey};
use crate::cms::EnvelopedData;
use crate::crypto::{CBC_IV_LEN, aes256_cbc_encrypt, fill_random};
use crate::policy::Permit;

/// A data key encrypted to the attested enclave, in the form of [`crate::cms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiphertextForRecipient(Vec<u8>);

/// Encrypts `plaintext` to the recipient that `permit` was given for, and to no other.
///
/// # Errors
/// When the permit names no recipient or a primitive fails.
pub fn seal_for_recipient(permit: &Permit, plaintext: &DataKey) -> Result<CiphertextForRecipient, SealError> {
    let recipient = permit.recipient().ok_or(SealError::PermitWithoutRecipient)?;
    seal_for(recipient, plaintext)
}

/// `length` random bytes, made for this recipient alone: no key is used, so no policy is asked.
///
/// # Errors
/// When a primitive fails, or the length is not in 1 to [`MAX_DATA_KEY_LEN`](super::MAX_DATA_KEY_LEN).
pub fn random_for_recipient(
    recipient: &AttestedRecipient,
    length: usize,
) -> Result<CiphertextForRecipient, SealError> {
    seal_for(recipient.key(), &DataKey::generate(length)?)
}

fn seal_for(recipient: &RecipientKey, plaintext: &DataKey) -> Result<CiphertextForRecipient, SealError> {
    let mut content_encryption_key = Zeroizing::new([0; 32]);
    fill_random(&mut *content_encryption_key)?;
    let mut iv = [0; CBC_IV_LEN];
    fill_random(&mut iv)?;
    let envelope = EnvelopedData {
        subject_key_identifier: recipient.spki_sha256(),
        encrypted_key: &recipient.encrypt(&*content_encryption_key)?,
        iv: &iv,
        encrypted_content: &aes256_cbc_encrypt(&content_encryption_key, iv, plaintext.expose())?,
    };
    Ok(CiphertextForRecipient(envelope.to_ber()))
}

impl CiphertextForRecipient {
    /// The envelope as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
