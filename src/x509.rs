//! Certificate paths (RFC 5280 section 6) of the shape that the Nitro attestation PKI issues.
//!
//! [`webpki`] validates the path: names, signatures, validity, `pathLenConstraint`, critical extensions. It looks at no
//! keyUsage and may choose its own order, so what it leaves open is checked here first: the certificates are exactly
//! one path in the order root → … → issuer of the leaf, every CA may sign certificates, and the leaf may sign data and no
//! certificates. Before that, each certificate must be in DER to the letter: [`webpki`] and [`x509_parser`] are each lax
//! in places, in the extensions above all.

mod der;
mod summary;

use std::fmt;

use webpki::aws_lc_rs::ECDSA_P384_SHA384;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_NAME_CONSTRAINTS,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use crate::crypto::{P384PublicKey, sha256};
use crate::time::UnixTime;

pub use summary::CertificateSummary;

/// `id-ecPublicKey`, RFC 5480 section 2.1.1.
const EC_PUBLIC_KEY: Oid<'static> = oid!(1.2.840.10045.2.1);
/// `secp384r1`, RFC 5480 section 2.1.1.1.
const SECP384R1: Oid<'static> = oid!(1.3.132.0.34);

/// The extensions whose meaning is looked at, here or by [`webpki`]; no other may be critical (RFC 5280 section 4.2).
const PROCESSED_EXTENSIONS: [Oid<'static>; 3] =
    [OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_NAME_CONSTRAINTS];

/// Where in a document a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The leaf, in the field `certificate`.
    Leaf,
    /// An entry of the field `cabundle`; 0 is the root.
    CaBundle(usize),
}

/// A path that holds from its leaf to the anchor at the time it was verified.
#[derive(Clone, Debug)]
pub struct VerifiedPath {
    /// The leaf's public key.
    pub leaf_key: P384PublicKey,
    /// When all certificates of the path are valid.
    pub validity: Validity,
}

/// A period that ends and starts with whole seconds, both of them within it (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The latest `notBefore`.
    pub not_before: UnixTime,
    /// The earliest `notAfter`.
    pub not_after: UnixTime,
}

impl Validity {
    /// Whether `now` lies within the period.
    pub fn contains(&self, now: UnixTime) -> bool {
        (self.not_before.as_secs()..=self.not_after.as_secs()).contains(&now.as_secs())
    }

    /// The period within both.
    fn intersect(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

/// Why there is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The first certificate of the bundle is none of the trust anchors.
    #[error("cabundle[0] is no trust anchor: its SHA-256 is {}", hex::encode(.actual_sha256))]
    UntrustedRoot {
        /// The digest of the certificate found.
        actual_sha256: [u8; 32],
    },
    /// A certificate is not DER of X.509 v3, or bytes follow it.
    #[error("{position} is not an X.509 v3 certificate: {problem}")]
    Malformed {
        /// Which certificate.
        position: Position,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate names another issuer than the one above it.
    #[error("{position} is not issued by the certificate above it: the names differ")]
    IssuerName {
        /// Which certificate.
        position: Position,
    },
    /// A certificate above the leaf is no CA, or the leaf is one.
    #[error("{position} has basicConstraints CA={actual}, expected CA={expected}")]
    BasicConstraints {
        /// Which certificate.
        position: Position,
        /// What its place requires.
        expected: bool,
        /// What it says.
        actual: bool,
    },
    /// More certificates follow than a CA allows.
    #[error("{position} allows {path_len} CA certificates below it, found {actual}")]
    PathLength {
        /// Which certificate.
        position: Position,
        /// Its `pathLenConstraint`.
        path_len: u32,
        /// CA certificates below it.
        actual: usize,
    },
    /// A certificate may not do what its place requires.
    #[error("{position} has no keyUsage {expected}")]
    KeyUsage {
        /// Which certificate.
        position: Position,
        /// `keyCertSign` for a CA, `digitalSignature` for the leaf.
        expected: &'static str,
    },
    /// A certificate may do what its place forbids: sign certificates without being a CA (RFC 5280 section 4.2.1.9).
    #[error("{position} is no CA and has keyUsage keyCertSign")]
    KeyCertSignWithoutCa {
        /// Which certificate.
        position: Position,
    },
    /// A certificate has a critical extension that nobody looks at.
    #[error("{position} has the critical extension {oid}, which is not understood")]
    CriticalExtension {
        /// Which certificate.
        position: Position,
        /// The extension, in dotted form.
        oid: String,
    },
    /// The leaf's key is not one on P-384.
    #[error("the leaf's public key is not an uncompressed point on P-384")]
    LeafKey,
    /// A certificate is not valid yet.
    #[error("{position} is valid from {not_before}, now is {now}")]
    NotYetValid {
        /// Which certificate.
        position: Position,
        /// Its `notBefore`.
        not_before: UnixTime,
        /// The time of the decision.
        now: UnixTime,
    },
    /// A certificate is no longer valid.
    #[error("{position} was valid until {not_after}, now is {now}")]
    Expired {
        /// Which certificate.
        position: Position,
        /// Its `notAfter`.
        not_after: UnixTime,
        /// The time of the decision.
        now: UnixTime,
    },
    /// Path validation refuses: a signature, an algorithm, a name constraint, …
    #[error("path validation refuses: {0}")]
    Validation(webpki::Error),
    /// Path validation found another path than the one presented.
    #[error("the certificates are not one path in order")]
    NotOnePath,
}

/// Verifies the path `leaf` ← `ca_bundle` (reversed) ← `anchor` at `now`. The bundle starts with the anchor itself.
///
/// # Errors
/// The first defect found; structure is checked before any signature.
pub fn verify_path(
    leaf: &[u8],
    ca_bundle: &[&[u8]],
    anchor: &[u8],
    now: UnixTime,
) -> Result<VerifiedPath, PathError> {
    let root = ca_bundle.first().copied().unwrap_or_default();
    if root != anchor {
        return Err(PathError::UntrustedRoot { actual_sha256: sha256(&[root]) });
    }
    let certificates = parse_all(leaf, ca_bundle)?;
    let validity = check_structure(&certificates, now)?;
    let leaf_key = certificates.last().and_then(|(_, leaf)| p384_key(leaf)).ok_or(PathError::LeafKey)?;
    validate(leaf, ca_bundle, anchor, now)?;
    Ok(VerifiedPath { leaf_key, validity })
}

fn parse_all<'a>(
    leaf: &'a [u8],
    ca_bundle: &[&'a [u8]],
) -> Result<Vec<(Position, X509Certificate<'a>)>, PathError> {
    let positions = (0..ca_bundle.len()).map(Position::CaBundle).chain([Position::Leaf]);
    positions
        .zip(ca_bundle.iter().copied().chain([leaf]))
        .map(|(position, der)| Ok((position, parse(position, der)?)))
        .collect()
}

fn parse(position: Position, der: &[u8]) -> Result<X509Certificate<'_>, PathError> {
    parse_certificate(der).map_err(|problem| PathError::Malformed { position, problem })
}

/// Reads the whole input as one X.509 v3 certificate in DER, or says what is wrong with it.
pub(crate) fn parse_certificate(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    der::check(der).map_err(|error| format!("not DER: {error}"))?;
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
    if certificate.version() != X509Version::V3 {
        return Err(format!("version {}", certificate.version()));
    }
    certificate.extensions_map().map_err(|_| "an extension stands twice".to_owned())?;
    for extension in certificate.extensions() {
        let refuse = |problem: &dyn fmt::Display| format!("extension {}: {problem}", extension.oid);
        match extension.parsed_extension() {
            // RFC 5280 section 4.2: ignored where it is not critical, and refused later where it is.
            ParsedExtension::UnsupportedExtension { .. } => continue,
            ParsedExtension::ParseError { error } => return Err(refuse(error)),
            ParsedExtension::KeyUsage(_) => der::check_named_bits(extension.value),
            _ => der::check(extension.value),
        }
        .map_err(|error| refuse(&error))?;
    }
    Ok(certificate)
}

/// Checks, root first, what needs no signature. Yields the period in which all certificates are valid.
fn check_structure(
    certificates: &[(Position, X509Certificate<'_>)],
    now: UnixTime,
) -> Result<Validity, PathError> {
    let mut validity = Validity { not_before: UnixTime::from_ms(0), not_after: UnixTime::from_ms(u64::MAX) };
    let mut issuer: Option<&X509Certificate<'_>> = None;
    for (index, (position, certificate)) in certificates.iter().enumerate() {
        let position = *position;
        let issuer_name = issuer.unwrap_or(certificate).subject().as_raw();
        if certificate.issuer().as_raw() != issuer_name {
            return Err(PathError::IssuerName { position });
        }
        let certificates_below = certificates.len().saturating_sub(index + 1);
        check_critical_extensions(position, certificate)?;
        check_role(position, certificate, certificates_below)?;
        validity = validity.intersect(check_validity(position, certificate, now)?);
        issuer = Some(certificate);
    }
    Ok(validity)
}

/// [`webpki`] asks the same of every certificate but the anchor.
fn check_critical_extensions(position: Position, certificate: &X509Certificate<'_>) -> Result<(), PathError> {
    let unknown = certificate
        .extensions()
        .iter()
        .find(|extension| extension.critical && !PROCESSED_EXTENSIONS.contains(&extension.oid));
    match unknown {
        Some(extension) => Err(PathError::CriticalExtension { position, oid: extension.oid.to_string() }),
        None => Ok(()),
    }
}

fn check_role(
    position: Position,
    certificate: &X509Certificate<'_>,
    certificates_below: usize,
) -> Result<(), PathError> {
    let malformed = |problem: &str| PathError::Malformed { position, problem: problem.to_owned() };
    let constraints =
        certificate.basic_constraints().map_err(|_| malformed("basicConstraints"))?.map(|found| found.value);
    let actual = constraints.is_some_and(|found| found.ca);
    let expected = position != Position::Leaf;
    if actual != expected {
        return Err(PathError::BasicConstraints { position, expected, actual });
    }
    // RFC 5280 section 4.2.1.9 gives it no meaning without cA.
    if !actual && constraints.is_some_and(|found| found.path_len_constraint.is_some()) {
        return Err(malformed("pathLenConstraint without cA"));
    }
    let usage = certificate.key_usage().map_err(|_| malformed("keyUsage"))?.map(|found| found.value);
    if position == Position::Leaf {
        return match usage {
            Some(found) if found.key_cert_sign() => Err(PathError::KeyCertSignWithoutCa { position }),
            Some(found) if found.digital_signature() => Ok(()),
            _ => Err(PathError::KeyUsage { position, expected: "digitalSignature" }),
        };
    }
    if !usage.is_some_and(|found| found.key_cert_sign()) {
        return Err(PathError::KeyUsage { position, expected: "keyCertSign" });
    }
    // RFC 5280 section 4.2.1.9: the leaf does not count, whatever it is.
    let ca_certificates_below = certificates_below.saturating_sub(1);
    match constraints.and_then(|found| found.path_len_constraint) {
        Some(path_len) if ca_certificates_below > usize::try_from(path_len).unwrap_or(usize::MAX) => {
            Err(PathError::PathLength { position, path_len, actual: ca_certificates_below })
        }
        _ => Ok(()),
    }
}

fn check_validity(
    position: Position,
    certificate: &X509Certificate<'_>,
    now: UnixTime,
) -> Result<Validity, PathError> {
    let validity = validity_of(certificate);
    let Validity { not_before, not_after } = validity;
    if validity.contains(now) {
        Ok(validity)
    } else if now < not_before {
        Err(PathError::NotYetValid { position, not_before, now })
    } else {
        Err(PathError::Expired { position, not_after, now })
    }
}

fn validity_of(certificate: &X509Certificate<'_>) -> Validity {
    // A time before 1970 is as good as 1970 to whoever compares it with now.
    let at = |seconds: i64| UnixTime::from_secs(u64::try_from(seconds).unwrap_or(0));
    Validity {
        not_before: at(certificate.validity().not_before.timestamp()),
        not_after: at(certificate.validity().not_after.timestamp()),
    }
}

/// The key of one certificate, where it is on P-384. Of a path or a validity nothing is known.
pub fn p384_key_of(der: &[u8]) -> Option<P384PublicKey> {
    parse_certificate(der).ok().as_ref().and_then(p384_key)
}

fn p384_key(certificate: &X509Certificate<'_>) -> Option<P384PublicKey> {
    let spki = certificate.public_key();
    let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    if spki.algorithm.algorithm != EC_PUBLIC_KEY || curve != Some(SECP384R1) {
        return None;
    }
    let point = &spki.subject_public_key;
    if point.unused_bits != 0 {
        return None;
    }
    P384PublicKey::from_uncompressed_point(point.data.as_ref()).ok()
}

fn validate(leaf: &[u8], ca_bundle: &[&[u8]], anchor: &[u8], now: UnixTime) -> Result<(), PathError> {
    use rustls_pki_types::{CertificateDer, UnixTime as WebPkiTime};

    let anchor = CertificateDer::from(anchor);
    let anchors = [anchor_from_trusted_cert(&anchor).map_err(PathError::Validation)?];
    let intermediates: Vec<_> = ca_bundle.iter().skip(1).map(|der| CertificateDer::from(*der)).collect();
    let leaf = CertificateDer::from(leaf);
    let end_entity = EndEntityCert::try_from(&leaf).map_err(PathError::Validation)?;
    let now = WebPkiTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs()));
    // No certificate of this PKI carries an extended key usage; one that did would have to allow client authentication.
    let path = end_entity
        .verify_for_usage(
            &[ECDSA_P384_SHA384],
            &anchors,
            &intermediates,
            now,
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(PathError::Validation)?;
    // webpki yields the path from the leaf's issuer upwards; the bundle runs downwards.
    let used = path.intermediate_certificates().map(|certificate| certificate.der());
    if used.eq(intermediates.iter().rev().cloned()) { Ok(()) } else { Err(PathError::NotOnePath) }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Leaf => f.write_str("certificate"),
            Position::CaBundle(index) => write!(f, "cabundle[{index}]"),
        }
    }
}
