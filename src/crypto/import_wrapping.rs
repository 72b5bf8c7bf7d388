use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use zeroize::Zeroizing;

use super::CryptoError;

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
    let private_key = PrivateDecryptingKey::from_pkcs8(private_key).map_err(|_| CryptoError)?;
    let private_key = OaepPrivateDecryptingKey::new(private_key)?;
    match wrapping {
        ImportWrapping::OaepSha1 => oaep_decrypt(&private_key, &OAEP_SHA1_MGF1SHA1, ciphertext),
        ImportWrapping::OaepSha256 => oaep_decrypt(&private_key, &OAEP_SHA256_MGF1SHA256, ciphertext),
        ImportWrapping::AesKeyWrapSha1 => unwrap_both(&private_key, &OAEP_SHA1_MGF1SHA1, ciphertext),
        ImportWrapping::AesKeyWrapSha256 => unwrap_both(&private_key, &OAEP_SHA256_MGF1SHA256, ciphertext),
    }
}

fn unwrap_both(
    private_key: &OaepPrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (wrapped_key, wrapped) =
        ciphertext.split_at_checked(private_key.key_size_bytes()).ok_or(CryptoError)?;
    let key = oaep_decrypt(private_key, algorithm, wrapped_key)?;
    let key = AesKek::new(&AES_256, &key)?;
    let mut material = Zeroizing::new(vec![0; wrapped.len()]);
    let length = key.unwrap_with_padding(wrapped, &mut material)?.len();
    material.truncate(length);
    Ok(material)
}

fn oaep_decrypt(
    private_key: &OaepPrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut plaintext = Zeroizing::new(vec![0; private_key.min_output_size()]);
    let length = private_key.decrypt(algorithm, ciphertext, &mut plaintext, None)?.len();
    plaintext.truncate(length);
    Ok(plaintext)
}
