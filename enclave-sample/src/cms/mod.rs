//! The reader of `CiphertextForRecipient`: CMS EnvelopedData (RFC 5652, section 6) to an RSA key.
//!
//! Key services emit BER with indefinite lengths; other producers emit DER. Every valid encoding of either kind is
//! read, and only one choice of algorithms: RSAES-OAEP with SHA-256 and MGF1-SHA-256 (RFC 4055, section 4.1) for the
//! content-encryption key, AES-256-CBC (RFC 3565) with PKCS#7 padding for the content.
//!
//! CBC is not authenticated, and anyone who knows the public key can make an envelope: an opened envelope says nothing
//! about who sent it. That is the transport's part, see [`client`](crate::client).

mod ber;
mod enveloped_data;
mod error;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use self::enveloped_data::{EnvelopedData, RecipientIdentifier, oaep_with_sha256};
pub use self::error::{BerError, CmsError};
use crate::recipient::RecipientKey;

/// The longest envelope that is read, in bytes. The longest plaintext that KMS releases is 4,096 bytes (Decrypt) and an
/// RSA-4096 private key is under 2,500; this leaves room for the most wasteful encoding of either.
pub const MAX_ENVELOPE_BYTES: usize = 16 * 1024;

/// An AES-256 key.
const CONTENT_ENCRYPTION_KEY_BYTES: usize = 32;

/// The AES block, the unit of CBC.
const BLOCK_BYTES: usize = 16;

/// Opens `envelope`, a ContentInfo holding EnvelopedData, with the recipient's private key.
///
/// The recipient is the RecipientInfo whose subjectKeyIdentifier is SHA-256 of the key's SubjectPublicKeyInfo; failing
/// that, the first that names an issuer and serial number, which a bare key cannot be compared with.
///
/// # Errors
/// Names the step that failed; the two decryptions say no more than that.
pub fn open_enveloped_data(envelope: &[u8], key: &RecipientKey) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    if envelope.len() > MAX_ENVELOPE_BYTES {
        return Err(CmsError::TooLong { limit: MAX_ENVELOPE_BYTES, actual: envelope.len() });
    }
    let enveloped = EnvelopedData::parse(envelope)?;
    let content_encryption_key = unwrap_content_encryption_key(&enveloped, key)?;
    decrypt_content(enveloped, &content_encryption_key)
}

fn unwrap_content_encryption_key(
    enveloped: &EnvelopedData<'_>,
    key: &RecipientKey,
) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    let ours = RecipientIdentifier::SubjectKeyIdentifier(key.key_identifier().to_vec());
    let recipients = &enveloped.key_trans_recipients;
    let recipient = recipients
        .iter()
        .find(|info| info.identifier == ours)
        .or_else(|| {
            recipients.iter().find(|info| info.identifier == RecipientIdentifier::IssuerAndSerialNumber)
        })
        .ok_or_else(|| CmsError::NotForThisKey {
            expected: hex::encode(key.key_identifier()),
            found: recipients.iter().map(|info| info.identifier.to_string()).collect(),
        })?;

    oaep_with_sha256(&recipient.key_encryption_algorithm)?;
    if recipient.encrypted_key.len() != key.modulus_bytes() {
        return Err(CmsError::Length {
            field: "encryptedKey",
            expected: key.modulus_bytes(),
            actual: recipient.encrypted_key.len(),
        });
    }
    let unwrapped = key.unwrap_key(&recipient.encrypted_key).map_err(|_| CmsError::UnwrapKey)?;
    match unwrapped.len() {
        CONTENT_ENCRYPTION_KEY_BYTES => Ok(unwrapped),
        actual => Err(CmsError::Length {
            field: "content-encryption key",
            expected: CONTENT_ENCRYPTION_KEY_BYTES,
            actual,
        }),
    }
}

fn decrypt_content(
    enveloped: EnvelopedData<'_>,
    content_encryption_key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    let mut content = Zeroizing::new(enveloped.encrypted_content);
    if content.is_empty() || !content.len().is_multiple_of(BLOCK_BYTES) {
        return Err(CmsError::NotBlocks { actual: content.len() });
    }
    let key = UnboundCipherKey::new(&AES_256, content_encryption_key)
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .map_err(|_| CmsError::DecryptContent)?;
    let iv = DecryptionContext::Iv128(FixedLength::from(enveloped.iv));
    let length = key.decrypt(&mut content, iv).map_err(|_| CmsError::DecryptContent)?.len();
    content.truncate(length);
    Ok(content)
}
