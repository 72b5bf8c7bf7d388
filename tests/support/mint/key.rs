//! Signing keys derived from a name, signing deterministically (RFC 6979): the same vectors come out of every run.
//!
//! They sign with RustCrypto's curves, so that what the broker's own cryptography verifies was made by another hand.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use p384::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha256, Sha384};

use super::der;

const ID_EC_PUBLIC_KEY: &[u64] = &[1, 2, 840, 10045, 2, 1];
pub const SECP384R1: &[u64] = &[1, 3, 132, 0, 34];
pub const SECP521R1: &[u64] = &[1, 3, 132, 0, 35];
const PRIME256V1: &[u64] = &[1, 2, 840, 10045, 3, 1, 7];

/// An arc under the example enterprise number of RFC 5612.
pub const UNKNOWN_CURVE: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 2];

/// A private key on one of two curves; real chains hold P-384 only.
#[derive(Clone)]
pub enum Key {
    P384(Box<p384::ecdsa::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

impl Key {
    /// The P-384 key of that name.
    pub fn p384(name: &str) -> Self {
        let scalar = Sha384::digest(format!("nitro-key-broker test vectors, P-384: {name}"));
        Self::P384(Box::new(p384::ecdsa::SigningKey::from_slice(&scalar).expect("below the group order")))
    }

    /// The P-256 key of that name.
    pub fn p256(name: &str) -> Self {
        let scalar = Sha256::digest(format!("nitro-key-broker test vectors, P-256: {name}"));
        Self::P256(Box::new(p256::ecdsa::SigningKey::from_slice(&scalar).expect("below the group order")))
    }

    /// The DER SubjectPublicKeyInfo (RFC 5480).
    pub fn spki(&self) -> Vec<u8> {
        let curve = match self {
            Self::P384(_) => SECP384R1,
            Self::P256(_) => PRIME256V1,
        };
        spki_on(curve, &self.point())
    }

    /// The public key as an uncompressed point.
    pub fn point(&self) -> Vec<u8> {
        match self {
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// An ECDSA signature over SHA-384 as `r ‖ s`, 48 bytes each whatever the curve (COSE ES384, RFC 9053 §2.1).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        // Most vectors share most of their certificates, and unoptimised signing takes ten milliseconds.
        static MADE: LazyLock<Mutex<HashMap<[u8; 48], Vec<u8>>>> = LazyLock::new(Mutex::default);
        let digest: [u8; 48] = Sha384::digest(message).into();
        let lookup = Sha384::new().chain_update(self.point()).chain_update(digest).finalize().into();
        if let Some(signature) = MADE.lock().unwrap().get(&lookup) {
            return signature.clone();
        }
        let signature = self.sign_digest(&digest);
        MADE.lock().unwrap().insert(lookup, signature.clone());
        signature
    }

    /// As [`Key::sign`], over SHA-256.
    pub fn sign_sha256(&self, message: &[u8]) -> Vec<u8> {
        self.sign_digest(&Sha256::digest(message))
    }

    fn sign_digest(&self, digest: &[u8]) -> Vec<u8> {
        match self {
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(digest).expect("signing succeeds");
                signature.to_bytes().to_vec()
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(digest).expect("signing succeeds");
                let (r, s) = signature.split_bytes();
                [&[0; 16], r.as_slice(), &[0; 16], s.as_slice()].concat()
            }
        }
    }
}

/// A DER SubjectPublicKeyInfo of that curve with that point, which may be none.
pub fn spki_on(curve: &[u64], point: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[der::oid(ID_EC_PUBLIC_KEY), der::oid(curve)]);
    der::sequence(&[algorithm, der::bit_string(point)])
}

/// `r ‖ s` as a DER `Ecdsa-Sig-Value`, `SEQUENCE { INTEGER, INTEGER }`: the form in a certificate (RFC 5480 appendix A).
pub fn ecdsa_sig_value(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    der::sequence(&[der::integer(r), der::integer(s)])
}

/// The order of P-384's group (FIPS 186-5 by SP 800-186 section 3.2.1.4).
pub const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a,
    0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The other valid signature with the same `r`: `s` replaced by `n − s`.
pub fn with_other_s(raw: &[u8]) -> Vec<u8> {
    let signature = p384::ecdsa::Signature::from_slice(raw).expect("a P-384 signature");
    let (r, s) = signature.split_scalars();
    p384::ecdsa::Signature::from_scalars(r, -s).expect("still in range").to_bytes().to_vec()
}

/// Whether `s` is above half the group order.
pub fn is_high_s(raw: &[u8]) -> bool {
    let signature = p384::ecdsa::Signature::from_slice(raw).expect("a P-384 signature");
    signature.normalize_s() != signature
}
