use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use zeroize::Zeroizing;

use super::CryptoError;

/// What kind of key pair to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPairKind {
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// NIST P-256 (FIPS 186-5).
    P256,
    /// NIST P-384 (FIPS 186-5).
    P384,
    /// NIST P-521 (FIPS 186-5).
    P521,
    /// secp256k1 (SEC 2).
    Secp256k1,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// A new key pair in its encodings.
pub struct KeyPairDer {
    /// PKCS#8 PrivateKeyInfo (RFC 5208), version 1.
    pub private_key: Zeroizing<Vec<u8>>,
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    pub public_key: Vec<u8>,
}

/// A new random key pair. For RSA it takes up to seconds.
///
/// # Errors
/// When the random generator or the primitive fails.
pub fn generate_key_pair(kind: KeyPairKind) -> Result<KeyPairDer, CryptoError> {
    match kind {
        KeyPairKind::Rsa2048 => generate_rsa(KeySize::Rsa2048),
        KeyPairKind::Rsa3072 => generate_rsa(KeySize::Rsa3072),
        KeyPairKind::Rsa4096 => generate_rsa(KeySize::Rsa4096),
        KeyPairKind::P256 => generate_ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyPairKind::P384 => generate_ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyPairKind::P521 => generate_ec(&ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyPairKind::Secp256k1 => generate_ec(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
        KeyPairKind::Ed25519 => generate_ed25519(),
    }
}

/// The key pair of this kind whose private half is `private_key`, PKCS#8 PrivateKeyInfo; encoded anew, so that the same
/// key has one encoding however it came.
///
/// # Errors
/// When it is no such private key.
pub fn read_key_pair(kind: KeyPairKind, private_key: &[u8]) -> Result<KeyPairDer, CryptoError> {
    match kind {
        KeyPairKind::Rsa2048 => read_rsa(private_key, 256),
        KeyPairKind::Rsa3072 => read_rsa(private_key, 384),
        KeyPairKind::Rsa4096 => read_rsa(private_key, 512),
        KeyPairKind::P256 => read_ec(private_key, &ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyPairKind::P384 => read_ec(private_key, &ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyPairKind::P521 => read_ec(private_key, &ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyPairKind::Secp256k1 => read_ec(private_key, &ECDSA_P256K1_SHA256_ASN1_SIGNING),
        KeyPairKind::Ed25519 => {
            // Unchecked against a public half, which the encoding may leave out.
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private_key).map_err(|_| CryptoError)?;
            encode_ed25519(&pair)
        }
    }
}

fn read_rsa(private_key: &[u8], modulus_len: usize) -> Result<KeyPairDer, CryptoError> {
    let pair = rsa::KeyPair::from_pkcs8(private_key).map_err(|_| CryptoError)?;
    if pair.public_modulus_len() == modulus_len { encode_rsa(&pair) } else { Err(CryptoError) }
}

fn read_ec(private_key: &[u8], algorithm: &'static EcdsaSigningAlgorithm) -> Result<KeyPairDer, CryptoError> {
    encode_ec(&EcdsaKeyPair::from_pkcs8(algorithm, private_key).map_err(|_| CryptoError)?)
}

fn generate_rsa(size: KeySize) -> Result<KeyPairDer, CryptoError> {
    encode_rsa(&rsa::KeyPair::generate(size)?)
}

fn encode_rsa(pair: &rsa::KeyPair) -> Result<KeyPairDer, CryptoError> {
    let private_key = AsDer::<Pkcs8V1Der<'_>>::as_der(pair)?;
    let public_key = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
    Ok(KeyPairDer::of(private_key.as_ref(), public_key.as_ref()))
}

fn generate_ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<KeyPairDer, CryptoError> {
    encode_ec(&EcdsaKeyPair::generate(algorithm)?)
}

fn encode_ec(pair: &EcdsaKeyPair) -> Result<KeyPairDer, CryptoError> {
    let public_key = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
    Ok(KeyPairDer::of(pair.to_pkcs8v1()?.as_ref(), public_key.as_ref()))
}

fn generate_ed25519() -> Result<KeyPairDer, CryptoError> {
    encode_ed25519(&Ed25519KeyPair::generate()?)
}

fn encode_ed25519(pair: &Ed25519KeyPair) -> Result<KeyPairDer, CryptoError> {
    let public_key = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
    Ok(KeyPairDer::of(pair.to_pkcs8v1()?.as_ref(), public_key.as_ref()))
}

impl KeyPairDer {
    fn of(private_key: &[u8], public_key: &[u8]) -> Self {
        Self { private_key: Zeroizing::new(private_key.to_vec()), public_key: public_key.to_vec() }
    }
}
