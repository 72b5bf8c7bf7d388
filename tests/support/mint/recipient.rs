//! RSA public keys for the field `public_key`.

use sha2::{Digest, Sha512};

use super::der;

const RSA_ENCRYPTION: &[u64] = &[1, 2, 840, 113549, 1, 1, 1];
const RSASSA_PSS: &[u64] = &[1, 2, 840, 113549, 1, 1, 10];

/// The usual exponent, F4.
pub const F4: &[u8] = &[1, 0, 1];

/// A DER SubjectPublicKeyInfo with an odd modulus of exactly `bits` bits that depends on nothing else. Nobody knows its
/// factors, so nothing encrypted to it can be opened.
pub fn rsa_spki(bits: usize, exponent: &[u8]) -> Vec<u8> {
    spki(&[der::oid(RSA_ENCRYPTION), der::null()], &modulus(bits), exponent)
}

/// As [`rsa_spki`], its modulus even.
pub fn rsa_spki_with_even_modulus(bits: usize) -> Vec<u8> {
    let mut modulus = modulus(bits);
    if let Some(last) = modulus.last_mut() {
        *last &= 0xfe;
    }
    spki(&[der::oid(RSA_ENCRYPTION), der::null()], &modulus, F4)
}

/// As [`rsa_spki`], with `parameters` where RFC 8017 appendix A.1 has NULL.
pub fn rsa_spki_with_parameters(bits: usize, parameters: &[u8]) -> Vec<u8> {
    spki(&[der::oid(RSA_ENCRYPTION), parameters.to_vec()], &modulus(bits), F4)
}

/// As [`rsa_spki`], for id-RSASSA-PSS: a key that may only sign (RFC 4055 §1.2).
pub fn rsa_pss_spki(bits: usize) -> Vec<u8> {
    spki(&[der::oid(RSASSA_PSS)], &modulus(bits), F4)
}

/// The RSAPublicKey alone (PKCS#1), without the SubjectPublicKeyInfo around it.
pub fn rsa_public_key(bits: usize) -> Vec<u8> {
    der::sequence(&[der::integer(&modulus(bits)), der::integer(F4)])
}

fn spki(algorithm: &[Vec<u8>], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = der::sequence(&[der::integer(modulus), der::integer(exponent)]);
    der::sequence(&[der::sequence(algorithm), der::bit_string(&key)])
}

fn modulus(bits: usize) -> Vec<u8> {
    let length = bits.div_ceil(8);
    let blocks = (0u32..).flat_map(|block| Sha512::digest(format!("{bits}-bit modulus, block {block}")));
    let mut modulus: Vec<u8> = blocks.take(length).collect();
    let top_bit = 0x80 >> (length * 8 - bits);
    modulus[0] = modulus[0] & (top_bit - 1) | top_bit;
    modulus[length - 1] |= 1;
    modulus
}
