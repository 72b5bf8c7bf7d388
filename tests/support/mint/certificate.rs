//! An X.509 certificate as plain data: every field can be set to what no issuer would sign, and is signed all the same.

use sha2::{Digest, Sha256};

use super::der;
use super::key::Key;

pub const ECDSA_WITH_SHA256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
pub const ECDSA_WITH_SHA384: &[u64] = &[1, 2, 840, 10045, 4, 3, 3];
pub const ECDSA_WITH_SHA512: &[u64] = &[1, 2, 840, 10045, 4, 3, 4];
pub const SHA384_WITH_RSA: &[u64] = &[1, 2, 840, 113549, 1, 1, 12];

pub const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
pub const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
pub const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
pub const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
pub const CRL_DISTRIBUTION_POINTS: &[u64] = &[2, 5, 29, 31];
pub const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];
/// An arc under the example enterprise number of RFC 5612: nobody processes it.
pub const UNKNOWN_EXTENSION: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 1];

/// What a TBSCertificate (RFC 5280 §4.1) says, and the two places that name its signature algorithm.
#[derive(Clone)]
pub struct Certificate {
    /// The encoded version: 2 stands for v3; `None` leaves the field out, which stands for v1.
    pub version: Option<u8>,
    /// A DER INTEGER.
    pub serial: Vec<u8>,
    pub inner_signature_algorithm: &'static [u64],
    pub outer_signature_algorithm: &'static [u64],
    /// A DER Name.
    pub issuer: Vec<u8>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// A DER Name.
    pub subject: Vec<u8>,
    /// A DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    pub extensions: Vec<Extension>,
    /// Makes the Ecdsa-Sig-Value from `r ‖ s`.
    pub encode_signature: fn(&[u8]) -> Vec<u8>,
    /// Makes the BIT STRING around the signature.
    pub wrap_signature: fn(&[u8]) -> Vec<u8>,
    /// Changes the finished DER, after signing.
    pub edit_der: fn(Vec<u8>) -> Vec<u8>,
}

#[derive(Clone)]
pub struct Extension {
    pub oid: &'static [u64],
    pub critical: bool,
    /// What the extnValue OCTET STRING holds.
    pub value: Vec<u8>,
}

impl Certificate {
    /// The certificate signed by `issuer_key`, in DER.
    pub fn sign(&self, issuer_key: &Key) -> Vec<u8> {
        let tbs = self.tbs();
        let algorithm = der::sequence(&[der::oid(self.outer_signature_algorithm)]);
        let raw = if self.outer_signature_algorithm == ECDSA_WITH_SHA256 {
            issuer_key.sign_sha256(&tbs)
        } else {
            issuer_key.sign(&tbs)
        };
        let signature = (self.wrap_signature)(&(self.encode_signature)(&raw));
        (self.edit_der)(der::sequence(&[tbs, algorithm, signature]))
    }

    fn tbs(&self) -> Vec<u8> {
        let version =
            self.version.map(|number| der::context(0, &der::integer(&[number]))).unwrap_or_default();
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(Extension::encode).collect();
        let extensions = match extensions.as_slice() {
            [] => Vec::new(),
            some => der::context(3, &der::sequence(some)),
        };
        der::sequence(&[
            version,
            self.serial.clone(),
            der::sequence(&[der::oid(self.inner_signature_algorithm)]),
            self.issuer.clone(),
            der::sequence(&[der::time(self.not_before), der::time(self.not_after)]),
            self.subject.clone(),
            self.spki.clone(),
            extensions,
        ])
    }

    /// Puts `extension` in the place of the one with its OID, or at the end.
    pub fn set_extension(&mut self, extension: Extension) {
        match self.extensions.iter_mut().find(|present| present.oid == extension.oid) {
            Some(present) => *present = extension,
            None => self.extensions.push(extension),
        }
    }

    pub fn remove_extension(&mut self, oid: &[u64]) {
        self.extensions.retain(|extension| extension.oid != oid);
    }

    pub fn extension_mut(&mut self, oid: &[u64]) -> &mut Extension {
        self.extensions.iter_mut().find(|extension| extension.oid == oid).expect("the extension is there")
    }
}

impl Extension {
    fn encode(&self) -> Vec<u8> {
        let critical = if self.critical { der::boolean(true) } else { Vec::new() };
        der::sequence(&[der::oid(self.oid), critical, der::octet_string(&self.value)])
    }
}

/// `cA` TRUE, critical (RFC 5280 §4.2.1.9).
pub fn ca_constraints(path_len: Option<u8>) -> Extension {
    let path_len = path_len.map(|length| der::integer(&[length])).unwrap_or_default();
    Extension {
        oid: BASIC_CONSTRAINTS,
        critical: true,
        value: der::sequence(&[der::boolean(true), path_len]),
    }
}

/// `cA` left at its default FALSE, critical.
pub fn end_entity_constraints() -> Extension {
    Extension { oid: BASIC_CONSTRAINTS, critical: true, value: der::sequence(&[]) }
}

/// Bits of KeyUsage (RFC 5280 §4.2.1.3).
pub const DIGITAL_SIGNATURE: usize = 0;
pub const NON_REPUDIATION: usize = 1;
pub const KEY_CERT_SIGN: usize = 5;
pub const CRL_SIGN: usize = 6;

pub fn key_usage(bits: &[usize], critical: bool) -> Extension {
    let list: Vec<bool> = (0..9).map(|bit| bits.contains(&bit)).collect();
    Extension { oid: KEY_USAGE, critical, value: der::named_bits(&list) }
}

pub fn subject_key_identifier(key: &Key) -> Extension {
    Extension { oid: SUBJECT_KEY_IDENTIFIER, critical: false, value: der::octet_string(&key_identifier(key)) }
}

pub fn authority_key_identifier(key: &Key) -> Extension {
    let value = der::sequence(&[der::context_primitive(0, &key_identifier(key))]);
    Extension { oid: AUTHORITY_KEY_IDENTIFIER, critical: false, value }
}

pub fn crl_distribution_point(uri: &str) -> Extension {
    let full_name = der::context(0, &der::context_primitive(6, uri.as_bytes()));
    let point = der::sequence(&[der::context(0, &full_name)]);
    Extension { oid: CRL_DISTRIBUTION_POINTS, critical: false, value: der::sequence(&[point]) }
}

pub fn unknown_extension(critical: bool) -> Extension {
    Extension { oid: UNKNOWN_EXTENSION, critical, value: der::null() }
}

/// The leftmost 160 bits of the SHA-256 of the public key (RFC 7093 §2, method 1).
fn key_identifier(key: &Key) -> Vec<u8> {
    Sha256::digest(key.point())[..20].to_vec()
}

/// One attribute of a distinguished name.
pub enum Attribute<'a> {
    Country(&'a str),
    State(&'a str),
    Locality(&'a str),
    Organization(&'a str),
    OrganizationalUnit(&'a str),
    CommonName(&'a str),
}

/// A DER Name with one attribute to each RDN; the country a PrintableString and the rest UTF8String, as AWS writes them.
pub fn name(attributes: &[Attribute<'_>]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = attributes
        .iter()
        .map(|attribute| {
            let (id, value) = match attribute {
                Attribute::CommonName(text) => (3, der::utf8_string(text)),
                Attribute::Country(text) => (6, der::printable_string(text)),
                Attribute::Locality(text) => (7, der::utf8_string(text)),
                Attribute::State(text) => (8, der::utf8_string(text)),
                Attribute::Organization(text) => (10, der::utf8_string(text)),
                Attribute::OrganizationalUnit(text) => (11, der::utf8_string(text)),
            };
            der::set(&[der::sequence(&[der::oid(&[2, 5, 4, id]), value])])
        })
        .collect();
    der::sequence(&rdns)
}
