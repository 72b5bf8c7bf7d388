use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::CryptoError;

/// Bytes of an AES-CBC initialisation vector.
pub const CBC_IV_LEN: usize = 16;

/// AES-256-CBC with PKCS #7 padding (RFC 5652 section 6.3), the content encryption of the KMS envelope.
///
/// # Errors
/// Only when the primitive itself refuses.
pub fn aes256_cbc_encrypt(
    key: &[u8; 32],
    iv: [u8; CBC_IV_LEN],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    const BLOCK: usize = 16;
    // Room for the padding at once: growing would leave a freed copy of the plaintext behind.
    let mut in_out = Zeroizing::new(Vec::with_capacity(plaintext.len() + BLOCK));
    in_out.extend_from_slice(plaintext);
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key)?)?;
    key.less_safe_encrypt(&mut *in_out, EncryptionContext::Iv128(FixedLength::from(iv)))?;
    Ok(std::mem::take(&mut *in_out))
}
