//! Every cryptographic primitive of the broker, over aws-lc-rs; but for Argon2id, which that does not have, nothing
//! else.
//!
//! One module computes in production; the tests open what it seals with independent implementations.

mod aead;
mod cbc;
mod digest;
mod ecdh;
mod ed25519;
mod hmac;
mod import_wrapping;
mod kdf;
mod key_pair;
mod oaep;
mod p384;
mod password;
mod random;
mod signature;

pub use aead::{AEAD_KEY_LEN, AEAD_NONCE_LEN, AEAD_TAG_LEN, AeadKey};
pub use cbc::{CBC_IV_LEN, aes256_cbc_encrypt};
pub use digest::{SHA256_LEN, Sha256, Sha384, sha256, sha384};
pub use ecdh::{EcdhPublicKey, ecdh};
pub use ed25519::{
    ED25519_PUBLIC_KEY_LEN, ED25519_SEED_LEN, ED25519_SIGNATURE_LEN, Ed25519PrivateKey, verify_ed25519,
};
pub use hmac::{HmacDigest, hmac, hmac_sha256, verify_hmac};
pub use import_wrapping::{ImportWrapping, unwrap_imported};
pub use kdf::hkdf_sha256;
pub use key_pair::{KeyPairDer, KeyPairKind, generate_key_pair, read_key_pair};
pub use oaep::{OaepDigest, OaepKey, OaepPrivateKey};
pub use p384::P384PublicKey;
pub use password::{PasswordHash, verify_no_password};
pub use random::fill_random;
pub use signature::{SignatureScheme, SignedMessage, sign, verify};

/// A primitive failed or refused its input.
///
/// It carries no detail on purpose: why an authenticated decryption failed is nobody's business, and aws-lc-rs does
/// not tell either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic operation failed")]
pub struct CryptoError;

impl From<aws_lc_rs::error::Unspecified> for CryptoError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}
