use aws_lc_rs::agreement::{
    Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, ParsedPublicKeyFormat, PrivateKey,
    UnparsedPublicKey, agree,
};
use zeroize::Zeroizing;

use super::{CryptoError, KeyPairKind};

/// A peer's public key on one of the NIST curves, found to be a point of it.
pub struct EcdhPublicKey(ParsedPublicKey);

impl EcdhPublicKey {
    /// Reads a DER SubjectPublicKeyInfo of a key on the curve of `kind`.
    ///
    /// # Errors
    /// When it is something else, or no point of the curve.
    pub fn from_spki_der(kind: KeyPairKind, spki: &[u8]) -> Result<Self, CryptoError> {
        let unparsed = UnparsedPublicKey::new(curve(kind)?, spki);
        let key = ParsedPublicKey::try_from(unparsed).map_err(|_| CryptoError)?;
        // aws-lc takes a bare point as well.
        (key.format() == ParsedPublicKeyFormat::X509).then_some(Self(key)).ok_or(CryptoError)
    }
}

/// The secret that a PKCS#8 private key of this kind shares with `peer`: the x coordinate of the common point, as long
/// as the field (NIST SP 800-56A section 5.7.1.2).
///
/// # Errors
/// When the private key is of another kind, or the peer's on another curve.
pub fn ecdh(
    kind: KeyPairKind,
    private_key: &[u8],
    peer: EcdhPublicKey,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let key = PrivateKey::from_private_key_der(curve(kind)?, private_key).map_err(|_| CryptoError)?;
    agree(&key, peer.0, CryptoError, |secret| Ok(Zeroizing::new(secret.to_vec())))
}

fn curve(kind: KeyPairKind) -> Result<&'static Algorithm, CryptoError> {
    match kind {
        KeyPairKind::P256 => Ok(&ECDH_P256),
        KeyPairKind::P384 => Ok(&ECDH_P384),
        KeyPairKind::P521 => Ok(&ECDH_P521),
        KeyPairKind::Rsa2048
        | KeyPairKind::Rsa3072
        | KeyPairKind::Rsa4096
        | KeyPairKind::Secp256k1
        | KeyPairKind::Ed25519 => Err(CryptoError),
    }
}
