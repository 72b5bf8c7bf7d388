use std::fmt;
use std::sync::Arc;

use x509_parser::asn1_rs::{Any, Oid, oid};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
use x509_parser::public_key::PublicKey;

use crate::crypto::{CryptoError, OaepDigest, OaepKey, SHA256_LEN, sha256};

/// `rsaEncryption`, RFC 8017 appendix A.1.
const RSA_ENCRYPTION: Oid<'static> = oid!(1.2.840.113549.1.1.1);
/// KMS takes RSA keys of 2,048 bits and more for `RSAES_OAEP_SHA_256`; over 4,096 the cost is the broker's.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// The exponents that FIPS 186-5 appendix A.1.1 allows start here; the upper end is what aws-lc accepts.
const EXPONENT: std::ops::RangeInclusive<u64> = 65537..=0x1_ffff_ffff;

/// The enclave's RSA public key, taken from verified evidence and fit to encrypt an answer to.
#[derive(Clone)]
pub struct RecipientKey {
    key: Arc<OaepKey>,
    spki_sha256: [u8; SHA256_LEN],
}

/// Why a document's `public_key` cannot receive an answer. The document may be genuine all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientKeyError {
    /// The field is null.
    #[error("the document has no public_key to encrypt the answer to")]
    Absent,
    /// The field holds something else.
    #[error("the document's public_key is not a DER SubjectPublicKeyInfo of an RSA key")]
    NotRsaSpki,
    /// The key is too short or too long.
    #[error("the document's RSA key has {actual} bits, expected 2048 to 4096")]
    ModulusBits {
        /// Bits of the modulus.
        actual: usize,
    },
    /// The exponent is unfit.
    #[error("the document's RSA key has an exponent that is even, below 65537 or above 33 bits")]
    Exponent,
}

/// What a document's `public_key` holds, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// The field is null.
    Absent,
    /// A SubjectPublicKeyInfo with an RSA key.
    Rsa {
        /// Bits of the modulus.
        modulus_bits: usize,
        /// The public exponent, unless it has more than 64 bits.
        exponent: Option<u64>,
    },
    /// A SubjectPublicKeyInfo with another key.
    OtherKey {
        /// The algorithm's OID, and that of its parameters where they are one, such as the curve.
        algorithm: String,
    },
    /// Text in PEM; only DER is accepted.
    Pem,
    /// Bytes that are none of these.
    Other {
        /// How many.
        len: usize,
    },
}

impl PublicKeyKind {
    pub(super) fn of(public_key: Option<&[u8]>) -> Self {
        let Some(bytes) = public_key else { return Self::Absent };
        let spki = match SubjectPublicKeyInfo::from_der(bytes) {
            Ok(([], spki)) => spki,
            _ if bytes.starts_with(b"-----BEGIN ") => return Self::Pem,
            _ => return Self::Other { len: bytes.len() },
        };
        if let Ok(PublicKey::RSA(rsa)) = spki.parsed() {
            return Self::Rsa { modulus_bits: bit_length(rsa.modulus), exponent: rsa.try_exponent().ok() };
        }
        let parameters = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let algorithm = [Some(&spki.algorithm.algorithm), parameters.as_ref()];
        let names: Vec<String> = algorithm.into_iter().flatten().map(Oid::to_id_string).collect();
        Self::OtherKey { algorithm: names.join(" ") }
    }
}

/// Such as `RSA, 2048 bits, exponent 65537`.
impl fmt::Display for PublicKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Rsa { modulus_bits, exponent: Some(exponent) } => {
                write!(f, "RSA, {modulus_bits} bits, exponent {exponent}")
            }
            Self::Rsa { modulus_bits, exponent: None } => {
                write!(f, "RSA, {modulus_bits} bits, exponent of more than 64 bits")
            }
            Self::OtherKey { algorithm } => write!(f, "SubjectPublicKeyInfo of algorithm {algorithm}"),
            Self::Pem => f.write_str("PEM text"),
            Self::Other { len } => write!(f, "{len} bytes that are no SubjectPublicKeyInfo"),
        }
    }
}

impl RecipientKeyError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            RecipientKeyError::Absent => "recipient_key_absent",
            RecipientKeyError::NotRsaSpki => "recipient_key_not_rsa",
            RecipientKeyError::ModulusBits { .. } => "recipient_key_modulus",
            RecipientKeyError::Exponent => "recipient_key_exponent",
        }
    }
}

impl RecipientKey {
    pub(super) fn from_public_key(public_key: Option<&[u8]>) -> Result<Self, RecipientKeyError> {
        let der = public_key.ok_or(RecipientKeyError::Absent)?;
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|_| RecipientKeyError::NotRsaSpki)?;
        let null_parameters = spki.algorithm.parameters.as_ref().is_some_and(is_null);
        if !rest.is_empty() || spki.algorithm.algorithm != RSA_ENCRYPTION || !null_parameters {
            return Err(RecipientKeyError::NotRsaSpki);
        }
        let Ok(PublicKey::RSA(rsa)) = spki.parsed() else { return Err(RecipientKeyError::NotRsaSpki) };
        let actual = bit_length(rsa.modulus);
        if !MODULUS_BITS.contains(&actual) {
            return Err(RecipientKeyError::ModulusBits { actual });
        }
        match rsa.try_exponent() {
            Ok(exponent) if EXPONENT.contains(&exponent) && exponent % 2 == 1 => {}
            _ => return Err(RecipientKeyError::Exponent),
        }
        let key = OaepKey::from_spki_der(der).map_err(|_| RecipientKeyError::NotRsaSpki)?;
        Ok(Self { key: Arc::new(key), spki_sha256: sha256(&[der]) })
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo, the envelope's subjectKeyIdentifier.
    pub fn spki_sha256(&self) -> &[u8; SHA256_LEN] {
        &self.spki_sha256
    }

    /// `plaintext` under RSAES-OAEP with SHA-256.
    ///
    /// # Errors
    /// When the plaintext is longer than the padding allows.
    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.key.encrypt(OaepDigest::Sha256, plaintext)
    }
}

fn is_null(parameters: &Any<'_>) -> bool {
    parameters.as_null().is_ok()
}

fn bit_length(unsigned_big_endian: &[u8]) -> usize {
    let digits = unsigned_big_endian.iter().skip_while(|byte| **byte == 0);
    let leading_zeros = digits.clone().next().map_or(0, |first| first.leading_zeros() as usize);
    (digits.count() * 8).saturating_sub(leading_zeros)
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientKey(spki sha256 {})", hex::encode(self.spki_sha256))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    use super::RecipientKey;

    #[test]
    fn only_the_owner_of_the_key_opens_what_is_encrypted_to_it() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        let key = RecipientKey::from_public_key(Some(spki.as_ref())).unwrap();
        let ciphertext = key.encrypt(b"content-encryption key").unwrap();
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut plaintext = vec![0; private.min_output_size()];
        let opened = private.decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut plaintext, None).unwrap();
        assert_eq!(opened, b"content-encryption key");
    }
}
