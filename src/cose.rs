//! COSE_Sign1 (RFC 9052 section 4.2) in the one form that a Nitro Security Module emits.
//!
//! ```text
//! COSE_Sign1 = #6.18([ protected : bstr .cbor {1: -35}, unprotected : {}, payload : bstr, signature : bstr .size 96 ])
//! ```
//!
//! The tag may be absent. Everything the format leaves open is closed here, since each opening has been an error in
//! some verifier: an algorithm in the unprotected header, a `crit` that is not looked at, another signature length.

use aws_nitro_enclaves_cose as nitro_cose;
use nitro_cose::crypto::{Hash, MessageDigest, SignatureAlgorithm, SigningPublicKey};
use nitro_cose::error::CoseError as NitroCoseError;

use crate::cbor::{CborError, Reader};
use crate::crypto::{CryptoError, P384PublicKey, sha384};

/// The tag of COSE_Sign1 (RFC 9052 section 2, table 1).
const COSE_SIGN1_TAG: u64 = 18;
/// The protected header `{1: -35}`: `alg` is ES384 (RFC 9053 section 2.1).
const PROTECTED_ES384: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
/// An ES384 signature is `r ‖ s`, 48 bytes each (RFC 9053 section 2.1).
const ES384_SIGNATURE_LEN: usize = 96;

/// A COSE_Sign1 of the accepted form whose signature has not been looked at.
#[derive(Clone, Copy, Debug)]
pub struct UnverifiedSign1<'a> {
    encoded: &'a [u8],
    payload: &'a [u8],
}

/// A COSE_Sign1 of any form, taken apart to be looked at. Nothing of it is verified, nor verifiable from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign1Parts<'a> {
    /// The tag in front.
    pub tag: Option<u64>,
    /// What the protected byte string holds.
    pub protected: &'a [u8],
    /// The encoding of the unprotected header.
    pub unprotected: &'a [u8],
    /// What the payload's byte string holds.
    pub payload: &'a [u8],
    /// The signature, of any length.
    pub signature: &'a [u8],
}

/// Why bytes are not a COSE_Sign1 of the accepted form, or not signed by the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not CBOR of the right shape.
    #[error("not a COSE_Sign1: {0}")]
    Cbor(#[from] CborError),
    /// Another tag than 18 stands in front.
    #[error("expected no CBOR tag or tag 18 (COSE_Sign1), found tag {actual}")]
    UnexpectedTag {
        /// The tag found.
        actual: u64,
    },
    /// The array has another number of elements than four.
    #[error("expected an array of 4 elements, found {actual}")]
    ArrayLength {
        /// The number found.
        actual: u64,
    },
    /// The protected header is another one than `{1: -35}`.
    #[error("expected the protected header a1013822, {{alg: ES384}}, found {}", hex::encode(.actual))]
    ProtectedHeader {
        /// Its first bytes, 32 at most.
        actual: Vec<u8>,
    },
    /// The unprotected header is another one than the definite map of no entries.
    #[error("expected an empty unprotected header")]
    UnprotectedHeader,
    /// The signature has another length than 96 bytes.
    #[error("expected a signature of 96 bytes, found {actual}")]
    SignatureLength {
        /// The length found.
        actual: usize,
    },
    /// The signature is not one by this key over this payload.
    #[error("the signature does not verify")]
    SignatureMismatch,
}

impl<'a> UnverifiedSign1<'a> {
    /// Reads the whole input as one COSE_Sign1.
    ///
    /// # Errors
    /// When it is not of the one accepted form.
    pub fn parse(encoded: &'a [u8]) -> Result<Self, CoseError> {
        let mut reader = Reader::new(encoded);
        match reader.tag()? {
            None | Some(COSE_SIGN1_TAG) => {}
            Some(actual) => return Err(CoseError::UnexpectedTag { actual }),
        }
        match reader.array()? {
            4 => {}
            actual => return Err(CoseError::ArrayLength { actual }),
        }
        let protected = reader.bytes()?;
        if protected != PROTECTED_ES384 {
            return Err(CoseError::ProtectedHeader { actual: protected.iter().take(32).copied().collect() });
        }
        // No signature covers this header: an empty map of indefinite length would be a second form of one document.
        if reader.map()?.remaining() != Some(0) {
            return Err(CoseError::UnprotectedHeader);
        }
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        if signature.len() != ES384_SIGNATURE_LEN {
            return Err(CoseError::SignatureLength { actual: signature.len() });
        }
        reader.finish()?;
        Ok(Self { encoded, payload })
    }

    /// The payload, as claimed by whoever sent it.
    pub fn unverified_payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The payload, once the signature over it is found to be by `key`.
    ///
    /// The signature check is that of aws-nitro-enclaves-cose, a second decoder: what it verified must be what this
    /// one read, or nothing is yielded.
    ///
    /// # Errors
    /// [`CoseError::SignatureMismatch`].
    pub fn verify(&self, key: &P384PublicKey) -> Result<&'a [u8], CoseError> {
        let signed =
            nitro_cose::CoseSign1::from_bytes(self.encoded).map_err(|_| CoseError::SignatureMismatch)?;
        let payload = signed
            .get_payload::<AwsLcSha384>(Some(&Es384Key(key)))
            .map_err(|_| CoseError::SignatureMismatch)?;
        if payload == self.payload { Ok(self.payload) } else { Err(CoseError::SignatureMismatch) }
    }
}

impl<'a> Sign1Parts<'a> {
    /// Takes the whole input apart.
    ///
    /// # Errors
    /// When it is no array of four with byte strings where a COSE_Sign1 has them.
    pub fn parse(encoded: &'a [u8]) -> Result<Self, CoseError> {
        let mut reader = Reader::new(encoded);
        let tag = reader.tag()?;
        match reader.array()? {
            4 => {}
            actual => return Err(CoseError::ArrayLength { actual }),
        }
        let protected = reader.bytes()?;
        let unprotected = reader.any_item()?;
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        reader.finish()?;
        Ok(Self { tag, protected, unprotected, payload, signature })
    }

    /// Whether the protected header is the one that is accepted, `{alg: ES384}`.
    pub fn is_es384(&self) -> bool {
        self.protected == PROTECTED_ES384
    }
}

struct AwsLcSha384;

impl Hash for AwsLcSha384 {
    fn hash(digest: MessageDigest, data: &[u8]) -> Result<Vec<u8>, NitroCoseError> {
        match digest {
            MessageDigest::Sha384 => Ok(sha384(&[data]).to_vec()),
            MessageDigest::Sha256 | MessageDigest::Sha512 => {
                Err(NitroCoseError::UnsupportedError("only SHA-384".to_owned()))
            }
        }
    }
}

struct Es384Key<'a>(&'a P384PublicKey);

impl SigningPublicKey for Es384Key<'_> {
    fn get_parameters(&self) -> Result<(SignatureAlgorithm, MessageDigest), NitroCoseError> {
        Ok((SignatureAlgorithm::ES384, MessageDigest::Sha384))
    }

    fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<bool, NitroCoseError> {
        match self.0.verify_digest(digest, signature) {
            Ok(()) => Ok(true),
            Err(CryptoError) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use minicbor::Encoder;

    use super::*;

    /// A COSE_Sign1 from its parts, with `prefix` in front.
    fn encode(
        prefix: &[u8],
        protected: &[u8],
        unprotected: &[u8],
        payload: &[u8],
        signature: &[u8],
    ) -> Vec<u8> {
        let mut encoded = prefix.to_vec();
        let mut encoder = Encoder::new(&mut encoded);
        encoder.array(4).unwrap().bytes(protected).unwrap();
        encoder.writer_mut().extend_from_slice(unprotected);
        encoder.bytes(payload).unwrap().bytes(signature).unwrap();
        encoded
    }

    fn signed(payload: &[u8]) -> (Vec<u8>, P384PublicKey) {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let mut to_sign = Vec::new();
        let mut encoder = Encoder::new(&mut to_sign);
        encoder.array(4).unwrap().str("Signature1").unwrap();
        encoder.bytes(&PROTECTED_ES384).unwrap().bytes(&[]).unwrap().bytes(payload).unwrap();
        let signature = key.sign(&SystemRandom::new(), &to_sign).unwrap();
        let public = P384PublicKey::from_uncompressed_point(key.public_key().as_ref()).unwrap();
        (encode(&[], &PROTECTED_ES384, &[0xa0], payload, signature.as_ref()), public)
    }

    #[test]
    fn yields_the_payload_only_under_its_key() {
        let (mut encoded, key) = signed(b"payload");
        let (_, other_key) = signed(b"payload");
        assert_eq!(UnverifiedSign1::parse(&encoded).unwrap().verify(&key), Ok(&b"payload"[..]));
        assert_eq!(
            UnverifiedSign1::parse(&encoded).unwrap().verify(&other_key),
            Err(CoseError::SignatureMismatch)
        );
        *encoded.last_mut().unwrap() ^= 1;
        assert_eq!(UnverifiedSign1::parse(&encoded).unwrap().verify(&key), Err(CoseError::SignatureMismatch));
    }

    #[test]
    fn accepts_tag_18_once_and_no_other() {
        let (encoded, key) = signed(b"payload");
        let tagged = [&[0xd2][..], &encoded].concat();
        assert_eq!(UnverifiedSign1::parse(&tagged).unwrap().verify(&key), Ok(&b"payload"[..]));
        let tag_17 = [&[0xd1][..], &encoded].concat();
        assert_eq!(UnverifiedSign1::parse(&tag_17).unwrap_err(), CoseError::UnexpectedTag { actual: 17 });
        let twice = [&[0xd2, 0xd2][..], &encoded].concat();
        assert!(matches!(UnverifiedSign1::parse(&twice).unwrap_err(), CoseError::Cbor(_)));
    }

    #[test]
    fn any_form_is_taken_apart_to_be_looked_at() {
        let unprotected = [0xa1, 0x01, 0x38, 0x22];
        let encoded = encode(&[0xd1], &[0xa0], &unprotected, b"payload", b"signature");
        let parts = Sign1Parts::parse(&encoded).unwrap();
        let expected = Sign1Parts {
            tag: Some(17),
            protected: &[0xa0],
            unprotected: &unprotected,
            payload: b"payload",
            signature: b"signature",
        };
        assert_eq!(parts, expected);
        assert!(!parts.is_es384());
        assert!(Sign1Parts { protected: &PROTECTED_ES384, ..parts }.is_es384());
        assert_eq!(Sign1Parts::parse(&[0x80]), Err(CoseError::ArrayLength { actual: 0 }));
    }

    #[test]
    fn closes_what_the_format_leaves_open() {
        let signature = [1; 96];
        let es256 = encode(&[], &[0xa1, 0x01, 0x26], &[0xa0], b"p", &signature);
        assert!(matches!(UnverifiedSign1::parse(&es256).unwrap_err(), CoseError::ProtectedHeader { .. }));
        let in_unprotected = encode(&[], &PROTECTED_ES384, &[0xa1, 0x01, 0x38, 0x22], b"p", &signature);
        assert_eq!(UnverifiedSign1::parse(&in_unprotected).unwrap_err(), CoseError::UnprotectedHeader);
        let indefinite = encode(&[], &PROTECTED_ES384, &[0xbf, 0xff], b"p", &signature);
        assert_eq!(UnverifiedSign1::parse(&indefinite).unwrap_err(), CoseError::UnprotectedHeader);
        for length in [0, 47, 95, 97] {
            let encoded = encode(&[], &PROTECTED_ES384, &[0xa0], b"p", &vec![1; length]);
            let expected = CoseError::SignatureLength { actual: length };
            assert_eq!(UnverifiedSign1::parse(&encoded).unwrap_err(), expected);
        }
    }
}
