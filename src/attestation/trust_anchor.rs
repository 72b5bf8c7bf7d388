use std::fmt;
use std::path::{Path, PathBuf};

use x509_parser::pem::Pem;

use crate::crypto::{SHA256_LEN, sha256};
use crate::time::UnixTime;
use crate::x509::{CertificateSummary, parse_certificate};

/// SHA-256 of the DER of the AWS Nitro Enclaves root G1, as AWS publishes it.
pub const AWS_NITRO_ENCLAVES_ROOT_G1_SHA256: [u8; SHA256_LEN] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31, 0x7e,
    0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

const AWS_NITRO_ENCLAVES_ROOT_G1_PEM: &[u8] = include_bytes!("../../certs/aws-nitro-enclaves-root-g1.pem");

/// A root certificate that evidence may lead to.
#[derive(Clone, Debug)]
pub struct TrustAnchor {
    der: Vec<u8>,
    sha256: [u8; SHA256_LEN],
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Aws,
    Configured(PathBuf),
}

/// The roots that evidence may lead to: that of AWS, and only by configuration others.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor>,
}

/// Why a certificate cannot be a trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustAnchorError {
    /// The file is not exactly one PEM certificate.
    #[error("{} is not one PEM certificate: {problem}", .path.display())]
    NotOneCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate built into the broker is not the one that AWS publishes.
    #[error(
        "the built-in AWS root has SHA-256 {}, expected {}: this build is not to be trusted",
        hex::encode(.actual),
        hex::encode(AWS_NITRO_ENCLAVES_ROOT_G1_SHA256)
    )]
    NotTheAwsRoot {
        /// The digest found.
        actual: [u8; SHA256_LEN],
    },
}

impl TrustAnchors {
    /// The AWS Nitro Enclaves root G1 alone, its digest checked.
    ///
    /// # Errors
    /// [`TrustAnchorError::NotTheAwsRoot`] when the build carries another certificate.
    pub fn aws() -> Result<Self, TrustAnchorError> {
        let path = Path::new("certs/aws-nitro-enclaves-root-g1.pem");
        let anchor = TrustAnchor::from_pem(AWS_NITRO_ENCLAVES_ROOT_G1_PEM, path, Origin::Aws)?;
        if anchor.sha256 != AWS_NITRO_ENCLAVES_ROOT_G1_SHA256 {
            return Err(TrustAnchorError::NotTheAwsRoot { actual: anchor.sha256 });
        }
        Ok(Self { anchors: vec![anchor] })
    }

    /// These anchors and the one that `pem` holds, which was configured as `path`.
    ///
    /// Whoever holds that root's key can forge evidence, so its presence is announced wherever decisions are recorded.
    ///
    /// # Errors
    /// When `pem` is not exactly one certificate.
    pub fn with_configured(mut self, pem: &[u8], path: &Path) -> Result<Self, TrustAnchorError> {
        self.anchors.push(TrustAnchor::from_pem(pem, path, Origin::Configured(path.to_owned()))?);
        Ok(self)
    }

    /// The one anchor that `pem` holds and no other, for judging a document against a root of one's own.
    ///
    /// # Errors
    /// When `pem` is not exactly one certificate.
    pub fn only_configured(pem: &[u8], path: &Path) -> Result<Self, TrustAnchorError> {
        Self { anchors: Vec::new() }.with_configured(pem, path)
    }

    /// The anchor that is this certificate, byte for byte.
    pub fn find(&self, certificate: &[u8]) -> Option<&TrustAnchor> {
        self.anchors.iter().find(|anchor| anchor.der == certificate)
    }

    /// All anchors, that of AWS first.
    pub fn iter(&self) -> impl Iterator<Item = &TrustAnchor> {
        self.anchors.iter()
    }

    /// The anchors that are not that of AWS.
    pub fn configured(&self) -> impl Iterator<Item = &TrustAnchor> {
        self.anchors.iter().filter(|anchor| anchor.origin != Origin::Aws)
    }
}

impl TrustAnchor {
    fn from_pem(pem: &[u8], path: &Path, origin: Origin) -> Result<Self, TrustAnchorError> {
        let refuse = |problem: &str| TrustAnchorError::NotOneCertificate {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let mut blocks = Pem::iter_from_buffer(pem);
        let block = blocks.next().ok_or_else(|| refuse("no PEM block"))?.map_err(|_| refuse("bad PEM"))?;
        if blocks.next().is_some() {
            return Err(refuse("more than one PEM block"));
        }
        if block.label != "CERTIFICATE" {
            return Err(refuse("the PEM block is no certificate"));
        }
        parse_certificate(&block.contents).map_err(|problem| refuse(&problem))?;
        Ok(Self { sha256: sha256(&[&block.contents]), der: block.contents, origin })
    }

    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When the certificate ends.
    pub fn not_after(&self) -> Option<UnixTime> {
        CertificateSummary::parse(&self.der).ok().map(|certificate| certificate.validity.not_after)
    }

    /// SHA-256 of the certificate's DER.
    pub fn sha256(&self) -> &[u8; SHA256_LEN] {
        &self.sha256
    }

    /// The file that a configured anchor was read from; `None` for that of AWS.
    pub fn configured_path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Aws => None,
            Origin::Configured(path) => Some(path),
        }
    }
}

/// `AWS Nitro Enclaves root G1`, or `CONFIGURED root <file> (SHA-256 <hex>)`.
impl fmt::Display for TrustAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Aws => f.write_str("AWS Nitro Enclaves root G1"),
            Origin::Configured(path) => {
                write!(f, "CONFIGURED root {} (SHA-256 {})", path.display(), hex::encode(self.sha256))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        AWS_NITRO_ENCLAVES_ROOT_G1_PEM, AWS_NITRO_ENCLAVES_ROOT_G1_SHA256, TrustAnchor, TrustAnchorError,
        TrustAnchors,
    };

    #[test]
    fn a_configured_root_is_told_from_that_of_aws() {
        let path = Path::new("development/root.pem");
        let anchors =
            TrustAnchors::aws().unwrap().with_configured(AWS_NITRO_ENCLAVES_ROOT_G1_PEM, path).unwrap();
        let digest = hex::encode(AWS_NITRO_ENCLAVES_ROOT_G1_SHA256);
        let announced: Vec<String> = anchors.iter().map(ToString::to_string).collect();
        let configured = format!("CONFIGURED root development/root.pem (SHA-256 {digest})");
        assert_eq!(announced, ["AWS Nitro Enclaves root G1".to_owned(), configured]);
        let paths: Vec<_> = anchors.iter().map(TrustAnchor::configured_path).collect();
        assert_eq!(paths, [None, Some(path)]);
        let configured: Vec<_> = anchors.configured().map(TrustAnchor::configured_path).collect();
        assert_eq!(configured, [Some(path)]);
        assert!(anchors.iter().all(|anchor| anchor.sha256() == &AWS_NITRO_ENCLAVES_ROOT_G1_SHA256));
    }

    #[test]
    fn a_file_is_exactly_one_certificate_or_no_anchor() {
        let path = Path::new("root.pem");
        let pem = std::str::from_utf8(AWS_NITRO_ENCLAVES_ROOT_G1_PEM).unwrap();
        for (text, problem) in [
            (String::new(), "no PEM block"),
            (pem.repeat(2), "more than one PEM block"),
            (pem.replace("CERTIFICATE", "PUBLIC KEY"), "the PEM block is no certificate"),
        ] {
            let error = TrustAnchors::only_configured(text.as_bytes(), path).unwrap_err();
            let expected =
                TrustAnchorError::NotOneCertificate { path: path.to_owned(), problem: problem.to_owned() };
            assert_eq!(error, expected);
        }
    }
}
