use std::fmt::Write as _;

use x509_parser::prelude::{X509Certificate, X509Name};

use super::{Validity, parse_certificate, validity_of};
use crate::crypto::{SHA256_LEN, sha256};

/// What a certificate says, for people to read. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// The distinguished name, most significant attribute last; what is not printable ASCII is escaped.
    pub subject: String,
    /// The subject's common name, escaped in the same way.
    pub common_name: Option<String>,
    /// When it is valid.
    pub validity: Validity,
    /// `cA` of basicConstraints.
    pub is_ca: bool,
    /// `pathLenConstraint`.
    pub path_len: Option<u32>,
    /// The named bits of keyUsage, by their names in RFC 5280 section 4.2.1.3; `None` without the extension.
    pub key_usage: Option<Vec<&'static str>>,
    /// SHA-256 of the DER.
    pub sha256: [u8; SHA256_LEN],
}

impl CertificateSummary {
    /// Reads the whole input as one certificate.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(der: &[u8]) -> Result<Self, String> {
        let certificate = parse_certificate(der)?;
        let constraints = certificate.basic_constraints().ok().flatten().map(|found| found.value);
        let common_name = certificate.subject().iter_common_name().next();
        Ok(Self {
            subject: printable_name(certificate.subject()),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(printable),
            validity: validity_of(&certificate),
            is_ca: constraints.is_some_and(|found| found.ca),
            path_len: constraints.and_then(|found| found.path_len_constraint),
            key_usage: key_usage(&certificate),
            sha256: sha256(&[der]),
        })
    }
}

fn key_usage(certificate: &X509Certificate<'_>) -> Option<Vec<&'static str>> {
    let usage = certificate.key_usage().ok().flatten()?.value;
    let bits = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ];
    Some(bits.into_iter().filter_map(|(is_set, name)| is_set.then_some(name)).collect())
}

fn printable_name(name: &X509Name<'_>) -> String {
    printable(&name.to_string())
}

/// A certificate's text comes from whoever made it and goes to a terminal: no control character survives.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => shown.push(character),
            other => drop(write!(shown, "\\u{{{:x}}}", u32::from(other))),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn no_control_character_reaches_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}é"), "a\\u{1b}[2Jb\\u{a}\\u{202e}\\u{e9}");
    }
}
