use std::fmt;

use aws_lc_rs::digest::{Digest, SHA384};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, ParsedPublicKey};

use super::CryptoError;

/// A P-384 public key that verifies ECDSA with SHA-384.
#[derive(Clone)]
pub struct P384PublicKey(ParsedPublicKey);

impl P384PublicKey {
    /// Reads an uncompressed point (SEC 1 section 2.3.3: `04 ‖ x ‖ y`, 97 bytes), checked to be on the curve.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_uncompressed_point(point: &[u8]) -> Result<Self, CryptoError> {
        const UNCOMPRESSED_LEN: usize = 97;
        if point.len() != UNCOMPRESSED_LEN || point.first() != Some(&0x04) {
            return Err(CryptoError);
        }
        let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).map_err(|_| CryptoError)?;
        Ok(Self(key))
    }

    /// Verifies a raw `r ‖ s` signature over a SHA-384 digest.
    ///
    /// # Errors
    /// When the digest is not 48 bytes or the signature is not genuine.
    pub fn verify_digest(&self, digest: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let digest = Digest::import_less_safe(digest, &SHA384)?;
        Ok(self.0.verify_digest_sig(&digest, signature)?)
    }
}

impl fmt::Debug for P384PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P384PublicKey")
    }
}
