use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
use zeroize::Zeroizing;

use super::ciphertext_blob::BlobError;
use super::data_key::DataKey;
use super::key::Key;
use super::key_spec::{KeySpec, KeyUsage};
use super::material::KeyMaterialId;
use super::unwrapped::FromUnwrapped;
use super::{SealError, require_permit_for};
use crate::crypto::{
    self, CryptoError, EcdhPublicKey, KeyPairKind, OaepDigest, OaepKey, OaepPrivateKey, SignatureScheme,
    SignedMessage,
};
use crate::policy::Permit;

/// The private key of a `SIGN_VERIFY` key, which signs and nothing else.
pub struct SigningKey(PrivateKey);

/// The private key of an `ENCRYPT_DECRYPT` key, which decrypts and nothing else.
pub struct DecryptionKey(PrivateKey);

/// The private key of a `KEY_AGREEMENT` key, which derives shared secrets and nothing else.
pub struct AgreementKey(PrivateKey);

/// A peer's public key that a shared secret can be derived with.
pub struct PeerKey(EcdhPublicKey);

/// The peer's public key is none on the key's curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PublicKey must be a DER SubjectPublicKeyInfo of a valid public key with the spec {}", .expected.name())]
pub struct InvalidPeerKey {
    /// The spec of the key that is to meet it.
    pub expected: KeySpec,
}

/// A signature of `message` by `material`, which is `key`'s.
///
/// # Errors
/// When the permit is for another key, the scheme is none of the key's, or a digest has another length.
pub fn sign(
    permit: &Permit,
    key: &Key,
    material: &SigningKey,
    scheme: SignatureScheme,
    message: SignedMessage<'_>,
) -> Result<Vec<u8>, SealError> {
    require_permit_for(permit, key)?;
    Ok(crypto::sign(scheme, &material.0.pkcs8, message)?)
}

/// Whether `signature` is one of `message` by `key`.
///
/// # Errors
/// As [`sign`].
pub fn verify(
    permit: &Permit,
    key: &Key,
    scheme: SignatureScheme,
    message: SignedMessage<'_>,
    signature: &[u8],
) -> Result<bool, SealError> {
    require_permit_for(permit, key)?;
    Ok(crypto::verify(scheme, public_key(key)?, message, signature)?)
}

/// `plaintext` under RSAES-OAEP to `key`, as long as its modulus.
///
/// # Errors
/// When the permit is for another key, the key is none of RSA, or the plaintext is longer than the padding allows.
pub fn encrypt(
    permit: &Permit,
    key: &Key,
    digest: OaepDigest,
    plaintext: &DataKey,
) -> Result<Vec<u8>, SealError> {
    require_permit_for(permit, key)?;
    Ok(OaepKey::from_spki_der(public_key(key)?)?.encrypt(digest, plaintext.expose())?)
}

/// What [`encrypt`] encrypted to `key`, whose `material` is.
///
/// # Errors
/// [`BlobError::Asymmetric`] when the ciphertext does not open.
pub fn decrypt(
    permit: &Permit,
    key: &Key,
    material: &DecryptionKey,
    digest: OaepDigest,
    ciphertext: &[u8],
) -> Result<DataKey, BlobError> {
    require_permit_for(permit, key)?;
    let private_key = OaepPrivateKey::from_pkcs8(&material.0.pkcs8).map_err(SealError::from)?;
    let plaintext = private_key.decrypt(digest, ciphertext).map_err(|CryptoError| BlobError::Asymmetric)?;
    Ok(DataKey::from_opened(plaintext))
}

/// The secret that `key`, whose `material` is, shares with `peer`: the x coordinate of the common point. It is as
/// guarded as a data key.
///
/// # Errors
/// When the permit is for another key, or the peer's key is on another curve.
pub fn derive_shared_secret(
    permit: &Permit,
    key: &Key,
    material: &AgreementKey,
    peer: PeerKey,
) -> Result<DataKey, SealError> {
    require_permit_for(permit, key)?;
    Ok(DataKey::from_opened(crypto::ecdh(material.0.kind, &material.0.pkcs8, peer.0)?))
}

impl PeerKey {
    /// Reads a DER SubjectPublicKeyInfo of a point on the curve of `kind`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(kind: KeyPairKind, spki: &[u8]) -> Result<Self, InvalidPeerKey> {
        let invalid = InvalidPeerKey { expected: KeySpec::KeyPair(kind) };
        // aws-lc does not look behind the end of the structure.
        let Ok(([], _)) = SubjectPublicKeyInfo::from_der(spki) else { return Err(invalid) };
        EcdhPublicKey::from_spki_der(kind, spki).map(Self).map_err(|CryptoError| invalid)
    }
}

/// A PKCS#8 private key. Wiped when dropped.
struct PrivateKey {
    kind: KeyPairKind,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    fn of(key: &Key, usage: KeyUsage, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        match key.spec {
            KeySpec::KeyPair(kind) if key.usage == usage => {
                Ok(Self { kind, pkcs8: Zeroizing::new(unwrapped.to_vec()) })
            }
            _ => Err(CryptoError),
        }
    }
}

impl FromUnwrapped for SigningKey {
    fn from_unwrapped(key: &Key, _: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        PrivateKey::of(key, KeyUsage::SignVerify, unwrapped).map(Self)
    }
}

impl FromUnwrapped for DecryptionKey {
    fn from_unwrapped(key: &Key, _: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        PrivateKey::of(key, KeyUsage::EncryptDecrypt, unwrapped).map(Self)
    }
}

impl FromUnwrapped for AgreementKey {
    fn from_unwrapped(key: &Key, _: KeyMaterialId, unwrapped: &[u8]) -> Result<Self, CryptoError> {
        PrivateKey::of(key, KeyUsage::KeyAgreement, unwrapped).map(Self)
    }
}

fn public_key(key: &Key) -> Result<&[u8], CryptoError> {
    key.public_key.as_deref().ok_or(CryptoError)
}
