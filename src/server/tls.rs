//! The TLS side of a listener: versions, suites, ALPN and the loading of PEM files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::time::UnixTime;
use crate::x509::CertificateSummary;

/// Longest PEM file read: a certificate chain has a few kilobytes.
pub const MAX_PEM_BYTES: usize = 1024 * 1024;

/// The one protocol offered: a client that would rather speak HTTP/2 takes it, one that knows no other is refused
/// (RFC 7301 section 3.2).
const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// A server identity under the broker's TLS settings: TLS 1.2 and 1.3 by aws-lc-rs, ALPN `http/1.1`, no client
/// certificates. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
    not_after: Option<UnixTime>,
}

impl ServerTls {
    /// Loads a certificate chain, end entity first, and its private key (PKCS#8, PKCS#1 or SEC1) from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read, or as [`ServerTls::from_pem`].
    pub fn load(certificate_chain: &Path, private_key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read_pem(certificate_chain)?, &read_pem(private_key)?)
    }

    /// Takes a certificate chain, end entity first, and its private key from PEM text.
    ///
    /// # Errors
    /// When either is not PEM, absent or unusable, or the key is not that of the first certificate.
    pub fn from_pem(certificate_chain: &[u8], private_key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate_chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| TlsError::NotPem { what: "certificate chain", source })?;
        let leaf = chain.first().ok_or(TlsError::NoCertificate)?;
        let not_after = CertificateSummary::parse(leaf).ok().map(|leaf| leaf.validity.not_after);
        let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|source| match source {
            pem::Error::NoItemsFound => TlsError::NoPrivateKey,
            source => TlsError::NotPem { what: "private key", source },
        })?;

        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
                error => TlsError::Unusable(error),
            })?;
        config.alpn_protocols = vec![ALPN_HTTP_1_1.to_vec()];
        Ok(Self { config: Arc::new(config), not_after })
    }

    /// When the server's certificate ends, where it is one that this broker can read.
    pub fn not_after(&self) -> Option<UnixTime> {
        self.not_after
    }

    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }
}

/// The certificates in a PEM file, one at least.
///
/// # Errors
/// When the file cannot be read or holds none.
#[cfg(feature = "otlp")]
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read_pem(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::NotPem { what: "CA", source })?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

/// What a client of the broker's own speaks: the same TLS, with servers known by `roots` alone.
#[cfg(feature = "otlp")]
pub(crate) fn client_config(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, rustls::Error> {
    Ok(rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Why a TLS identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is too long to be PEM of this kind.
    #[error("{} is longer than {limit} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// [`MAX_PEM_BYTES`].
        limit: usize,
    },
    /// Broken PEM.
    #[error("the {what} is not PEM")]
    NotPem {
        /// Which of the two.
        what: &'static str,
        /// Where it breaks.
        source: pem::Error,
    },
    /// No `CERTIFICATE` section.
    #[error("the certificate chain has no CERTIFICATE section")]
    NoCertificate,
    /// No private key section.
    #[error(
        "the private key has no PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY section; \
         an encrypted key must be decrypted first"
    )]
    NoPrivateKey,
    /// The key belongs to another certificate.
    #[error("the private key is not that of the first certificate of the chain")]
    KeyMismatch,
    /// rustls or aws-lc-rs cannot use it.
    #[error("the TLS identity cannot be used")]
    Unusable(#[source] rustls::Error),
}

fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    // Room for the longest file at once: a buffer that grows leaves copies of a key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_PEM_BYTES + 1));
    let limit = u64::try_from(MAX_PEM_BYTES).unwrap_or(u64::MAX);
    File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() > MAX_PEM_BYTES {
        return Err(TlsError::TooLong { path: path.to_owned(), limit: MAX_PEM_BYTES });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{ServerTls, TlsError};
    use crate::server::tls_identity::mint;
    use crate::time::UnixTime;

    #[test]
    fn names_what_is_wrong_with_an_identity() {
        let (ours, other) = (identity(), identity());
        let certificate = ours.server_certificate_pem.as_bytes();
        let key = ours.server_key_pem.as_bytes();
        ServerTls::from_pem(certificate, key).unwrap();

        let error = |certificate: &[u8], key: &[u8]| ServerTls::from_pem(certificate, key).unwrap_err();
        assert!(matches!(error(certificate, other.server_key_pem.as_bytes()), TlsError::KeyMismatch));
        assert!(matches!(error(b"", key), TlsError::NoCertificate));
        assert!(matches!(error(key, key), TlsError::NoCertificate));
        assert!(matches!(error(certificate, certificate), TlsError::NoPrivateKey));
        assert!(matches!(error(certificate, b"garbage"), TlsError::NoPrivateKey));
        assert!(matches!(
            error(b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", key),
            TlsError::NotPem { what: "certificate chain", .. }
        ));
        assert!(matches!(
            error(certificate, b"-----BEGIN PRIVATE KEY-----\nAAAA\n"),
            TlsError::NotPem { what: "private key", .. }
        ));
        assert!(matches!(
            error(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key),
            TlsError::Unusable(_)
        ));
    }

    #[test]
    fn loads_from_files() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
        let identity = identity();
        std::fs::write(&certificate, &identity.server_certificate_pem).unwrap();
        assert!(
            matches!(ServerTls::load(&certificate, &key), Err(TlsError::Read { path, .. }) if path == key)
        );
        std::fs::write(&key, identity.server_key_pem.as_bytes()).unwrap();
        ServerTls::load(&certificate, &key).unwrap();
        std::fs::write(&key, vec![b'\n'; super::MAX_PEM_BYTES + 1]).unwrap();
        assert!(
            matches!(ServerTls::load(&certificate, &key), Err(TlsError::TooLong { path, .. }) if path == key)
        );
    }

    fn identity() -> crate::server::tls_identity::TlsIdentity {
        mint(&["localhost"], UnixTime::now()).unwrap()
    }
}
