use super::CryptoError;

/// Fills `bytes` from the module's random generator.
///
/// # Errors
/// When the generator fails; no key may then be made.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), CryptoError> {
    Ok(aws_lc_rs::rand::fill(bytes)?)
}
