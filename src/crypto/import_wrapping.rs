use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use zeroize::Zeroizing;

use super::CryptoError;
use super::oaep::{OaepDigest, OaepPrivateKey};

/// How key material is encrypted to an RSA key on its way in (KMS developer guide, *Select a wrapping algorithm*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportWrapping {
    /// RSAES-OAEP with SHA-1 and MGF1-SHA-1 (RFC 8017 section 7.1).
    OaepSha1,
    /// RSAES-OAEP with SHA-256 and MGF1-SHA-256.
    OaepSha256,
    /// An AES-256 key under RSAES-OAEP with SHA-1, and behind it the material under that key by AES key wrap with
    /// padding (RFC 5649): CKM_RSA_AES_KEY_WRAP of PKCS#11.
    AesKeyWrapSha1,
    /// As `AesKeyWrapSha1`, with SHA-256.
    AesKeyWrapSha256,
}

/// Decrypts what was wrapped for the private key, a PKCS#8 PrivateKeyInfo.
///
/// # Errors
/// When the key is no RSA key, or the ciphertext was not made for it by this algorithm. Which one is not told.
pub fn unwrap_imported(
    private_key: &[u8],
    wrapping: ImportWrapping,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let private_key = OaepPrivateKey::from_pkcs8(private_key)?;
    match wrapping {
        ImportWrapping::OaepSha1 => private_key.decrypt(OaepDigest::Sha1, ciphertext),
        ImportWrapping::OaepSha256 => private_key.decrypt(OaepDigest::Sha256, ciphertext),
        ImportWrapping::AesKeyWrapSha1 => unwrap_both(&private_key, OaepDigest::Sha1, ciphertext),
        ImportWrapping::AesKeyWrapSha256 => unwrap_both(&private_key, OaepDigest::Sha256, ciphertext),
    }
}

fn unwrap_both(
    private_key: &OaepPrivateKey,
    digest: OaepDigest,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (wrapped_key, wrapped) = ciphertext.split_at_checked(private_key.modulus_len()).ok_or(CryptoError)?;
    let key = private_key.decrypt(digest, wrapped_key)?;
    let key = AesKek::new(&AES_256, &key)?;
    let mut material = Zeroizing::new(vec![0; wrapped.len()]);
    let length = key.unwrap_with_padding(wrapped, &mut material)?.len();
    material.truncate(length);
    Ok(material)
}
