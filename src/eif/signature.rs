//! The signature section: who signed the image.
//!
//! ```text
//! signature section = [ { "signing_certificate": [* byte], "signature": [* byte] } ]
//! ```
//!
//! A byte is an unsigned integer up to 255: the reference serializes byte vectors as arrays. The certificate is in PEM,
//! the signature is a COSE_Sign1 whose payload is `{ "register_index": 0, "register_value": [* byte] }`, PCR0.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::measure::Measurement;
use crate::cbor::{CborError, Entries, Reader};
use crate::cose::{CoseError, UnverifiedSign1};
use crate::x509::{CertificateSummary, p384_key_of};

/// Longest signature section. A P-384 certificate has about 1 KiB in PEM, and each byte takes up to two here; chosen so
/// that a certificate with many extensions still fits.
pub const MAX_SIGNATURE_SECTION_BYTES: usize = 64 * 1024;

/// A signature over PCR0 that verifies under its own certificate. Who the certificate belongs to is for a key policy to
/// say, by PCR8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSignature {
    /// The signing certificate, DER.
    pub certificate: Vec<u8>,
    /// What it says. Whether it is still valid is not asked here; an enclave does not start when it is not.
    pub summary: CertificateSummary,
}

/// Why a signature section is none, or not one over this image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not CBOR of the right shape.
    #[error("not CBOR of the right shape: {0}")]
    Cbor(#[from] CborError),
    /// The list has another number of signatures than one.
    #[error("expected one signature, that of PCR0, found {actual}")]
    Count {
        /// The number found.
        actual: u64,
    },
    /// A map has another entry than the one expected there.
    #[error("expected the entry {expected:?}")]
    Entry {
        /// The entry's name.
        expected: &'static str,
    },
    /// A map goes on behind its last entry.
    #[error("another entry follows {last:?}")]
    SurplusEntry {
        /// The last entry's name.
        last: &'static str,
    },
    /// A list of bytes holds something larger.
    #[error("expected a byte at byte {offset}, found {actual}")]
    NotAByte {
        /// Where in the section.
        offset: usize,
        /// The number found.
        actual: u64,
    },
    /// There is no certificate in PEM.
    #[error("the signing certificate is not in PEM")]
    Pem,
    /// The certificate is none.
    #[error("the signing certificate: {problem}")]
    Certificate {
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate has a key of another kind.
    #[error("the signing certificate's key is not on P-384: only ES384 is verified here")]
    Key,
    /// The signature does not verify.
    #[error("the signature: {0}")]
    Cose(#[from] CoseError),
    /// The signature is one over something else.
    #[error(
        "the signature is over PCR{index} with value {}, PCR0 of this image is {}",
        hex::encode(.signed), hex::encode(.actual)
    )]
    OtherImage {
        /// The register signed.
        index: u64,
        /// The value signed.
        signed: Vec<u8>,
        /// The value measured.
        actual: Measurement,
    },
}

impl ImageSignature {
    /// Reads the whole section and verifies its signature over `pcr0`.
    pub(super) fn verify(section: &[u8], pcr0: &Measurement) -> Result<Self, SignatureError> {
        let mut reader = Reader::new(section);
        match reader.array()? {
            1 => {}
            actual => return Err(SignatureError::Count { actual }),
        }
        let mut entries = reader.definite_map()?;
        expect_entry(&mut reader, &mut entries, "signing_certificate")?;
        let pem = read_bytes(&mut reader)?;
        expect_entry(&mut reader, &mut entries, "signature")?;
        let signature = read_bytes(&mut reader)?;
        expect_end(&mut reader, &mut entries, "signature")?;
        reader.finish()?;

        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| SignatureError::Pem)?;
        let malformed = |problem| SignatureError::Certificate { problem };
        let summary = CertificateSummary::parse(&certificate).map_err(malformed)?;
        let key = p384_key_of(&certificate).ok_or(SignatureError::Key)?;
        check_payload(UnverifiedSign1::parse(&signature)?.verify(&key)?, pcr0)?;
        Ok(Self { certificate: certificate.to_vec(), summary })
    }
}

/// The payload must say PCR0 and its value.
fn check_payload(payload: &[u8], pcr0: &Measurement) -> Result<(), SignatureError> {
    let mut reader = Reader::new(payload);
    let mut entries = reader.definite_map()?;
    expect_entry(&mut reader, &mut entries, "register_index")?;
    let index = reader.unsigned()?;
    expect_entry(&mut reader, &mut entries, "register_value")?;
    let signed = read_bytes(&mut reader)?;
    expect_end(&mut reader, &mut entries, "register_value")?;
    reader.finish()?;
    if index == 0 && signed == pcr0 {
        Ok(())
    } else {
        Err(SignatureError::OtherImage { index, signed, actual: *pcr0 })
    }
}

fn expect_entry(
    reader: &mut Reader<'_>,
    entries: &mut Entries,
    expected: &'static str,
) -> Result<(), SignatureError> {
    if entries.next(reader)? && reader.text()? == expected {
        Ok(())
    } else {
        Err(SignatureError::Entry { expected })
    }
}

fn expect_end(
    reader: &mut Reader<'_>,
    entries: &mut Entries,
    last: &'static str,
) -> Result<(), SignatureError> {
    if entries.next(reader)? { Err(SignatureError::SurplusEntry { last }) } else { Ok(()) }
}

/// A list of bytes. Each element takes a byte of the section or more, so the section's length bounds the list.
fn read_bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>, SignatureError> {
    let count = reader.array()?;
    let mut bytes = Vec::new();
    for _ in 0..count {
        let offset = reader.offset();
        let actual = reader.unsigned()?;
        bytes.push(u8::try_from(actual).map_err(|_| SignatureError::NotAByte { offset, actual })?);
    }
    Ok(bytes)
}
