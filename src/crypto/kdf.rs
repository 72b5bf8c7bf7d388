use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use super::CryptoError;

struct OutputLength(usize);

impl KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF with SHA-256 (RFC 5869), extract and expand.
///
/// # Errors
/// When `LEN` is over 255 × 32 bytes.
pub fn hkdf_sha256<const LEN: usize>(
    salt: &[u8],
    input_key_material: &[u8],
    info: &[&[u8]],
) -> Result<Zeroizing<[u8; LEN]>, CryptoError> {
    let mut output = Zeroizing::new([0; LEN]);
    Salt::new(HKDF_SHA256, salt)
        .extract(input_key_material)
        .expand(info, OutputLength(LEN))?
        .fill(&mut *output)?;
    Ok(output)
}
