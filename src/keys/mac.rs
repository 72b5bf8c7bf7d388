use zeroize::Zeroizing;

use super::key::Key;
use super::key_spec::{KeySpec, KeyUsage};
use super::material::KeyMaterialId;
use super::unwrapped::FromUnwrapped;
use super::{SealError, require_permit_for};
use crate::crypto::{CryptoError, HmacDigest, hmac, verify_hmac};
use crate::policy::Permit;

/// The material of an HMAC key, which makes MACs and nothing else. Wiped when dropped.
pub struct MacKey {
    digest: HmacDigest,
    bytes: Zeroizing<Vec<u8>>,
}

impl FromUnwrapped for MacKey {
    fn from_unwrapped(key: &Key, _: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        match (key.spec, key.usage) {
            (KeySpec::Hmac(digest), KeyUsage::GenerateVerifyMac) if !unwrapped.is_empty() => {
                Ok(Self { digest, bytes: Zeroizing::new(unwrapped.to_vec()) })
            }
            _ => Err(CryptoError),
        }
    }
}

/// The HMAC of `message` under `material`, which is `key`'s, with the digest of its spec.
///
/// # Errors
/// When the permit is for another key.
pub fn mac(permit: &Permit, key: &Key, material: &MacKey, message: &[u8]) -> Result<Vec<u8>, SealError> {
    require_permit_for(permit, key)?;
    Ok(hmac(material.digest, &material.bytes, message))
}

/// Whether `mac` is what [`mac`] makes of `message`, whole, found out in constant time.
///
/// # Errors
/// When the permit is for another key.
pub fn verify_mac(
    permit: &Permit,
    key: &Key,
    material: &MacKey,
    message: &[u8],
    mac: &[u8],
) -> Result<bool, SealError> {
    require_permit_for(permit, key)?;
    Ok(verify_hmac(material.digest, &material.bytes, message, mac))
}
