//! How the broker proves who it is: by a CA, by its own public key, or by both.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

use super::transport::TransportError;

/// A CA file holds a few certificates of a few KiB; a distribution's bundle of all public CAs some 250 KiB.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// A broker has one key, and two while it changes from one to the next.
const MAX_PINS: usize = 8;

/// SHA-256 of a certificate's DER SubjectPublicKeyInfo (RFC 7469, section 2.4): `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyPin([u8; SHA256_OUTPUT_LEN]);

impl KeyPin {
    /// The pin of a DER SubjectPublicKeyInfo.
    pub fn of(spki_der: &[u8]) -> Self {
        let mut pin = [0; SHA256_OUTPUT_LEN];
        pin.copy_from_slice(digest(&SHA256, spki_der).as_ref());
        Self(pin)
    }
}

impl FromStr for KeyPin {
    type Err = InvalidKeyPin;

    fn from_str(text: &str) -> Result<Self, InvalidKeyPin> {
        let hex_digits = text.strip_prefix("sha256:").ok_or(InvalidKeyPin)?;
        let bytes = hex::decode(hex_digits).map_err(|_| InvalidKeyPin)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKeyPin)
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`KeyPin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key pin is sha256: and 64 hex digits")]
pub struct InvalidKeyPin;

/// What vouches for the broker, and the name it must have. Both belong in the enclave image, where PCR0 measures them.
#[derive(Clone)]
pub struct TlsTrust {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

impl TlsTrust {
    /// Trusts the CAs in a PEM file and no others.
    ///
    /// # Errors
    /// When the file cannot be read or holds no CA certificate.
    pub fn from_ca_file(path: &Path) -> Result<Self, TransportError> {
        Self::from_ca_pem(&read_ca_file(path)?)
    }

    /// Trusts the CAs in `pem` and no others.
    ///
    /// # Errors
    /// When `pem` holds no CA certificate, or something else besides.
    pub fn from_ca_pem(pem: &[u8]) -> Result<Self, TransportError> {
        Self::new(Some(pem), Vec::new())
    }

    /// Trusts a broker whose certificate holds one of the pinned keys, whoever issued it, whatever its name and
    /// validity: the key is the identity.
    ///
    /// # Errors
    /// When `pins` is empty or longer than a broker can have use for.
    pub fn from_key_pins(pins: Vec<KeyPin>) -> Result<Self, TransportError> {
        Self::new(None, pins)
    }

    /// The CAs in a PEM file must vouch for the broker, and its key must be one of `pins`.
    ///
    /// # Errors
    /// As of [`from_ca_file`](Self::from_ca_file) and [`from_key_pins`](Self::from_key_pins).
    pub fn from_ca_file_and_key_pins(path: &Path, pins: Vec<KeyPin>) -> Result<Self, TransportError> {
        check_pins(&pins)?;
        Self::new(Some(&read_ca_file(path)?), pins)
    }

    /// The name that the broker's certificate must carry, in place of the endpoint's host or
    /// [`DEFAULT_SERVER_NAME`](super::DEFAULT_SERVER_NAME).
    pub fn with_server_name(mut self, server_name: impl Into<String>) -> Self {
        self.server_name = Some(server_name.into());
        self
    }

    pub(super) fn into_parts(self) -> (Arc<ClientConfig>, Option<String>) {
        (self.config, self.server_name)
    }

    fn new(ca_pem: Option<&[u8]>, pins: Vec<KeyPin>) -> Result<Self, TransportError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let path = match ca_pem {
            Some(pem) => Some(path_verifier(pem, &provider)?),
            None => {
                check_pins(&pins)?;
                None
            }
        };
        let verifier = BrokerVerifier { path, pins, provider: Arc::clone(&provider) };
        // TLS 1.3 is what the broker and KMS speak; nothing older is offered.
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TransportError::Ca(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), server_name: None })
    }
}

impl fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTrust").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// At least one of its two parts is there, and each that is there must agree.
#[derive(Debug)]
struct BrokerVerifier {
    path: Option<Arc<WebPkiServerVerifier>>,
    /// Empty if none is asked for.
    pins: Vec<KeyPin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for BrokerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Self { path, pins, provider: _ } = self;
        if let Some(path) = path {
            path.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        if path.is_some() && pins.is_empty() {
            return Ok(ServerCertVerified::assertion());
        }
        let key = KeyPin::of(ParsedCertificate::try_from(end_entity)?.subject_public_key_info().as_ref());
        if pins.iter().any(|KeyPin(pin)| verify_slices_are_equal(pin, &key.0).is_ok()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn path_verifier(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TransportError> {
    let unusable = |problem: String| TransportError::Ca(problem);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

fn read_ca_file(path: &Path) -> Result<Vec<u8>, TransportError> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CA_BYTES).read_to_end(&mut pem))
        .map_err(|source| TransportError::ReadCa { path: path.to_owned(), source })?;
    Ok(pem)
}

fn check_pins(pins: &[KeyPin]) -> Result<(), TransportError> {
    match pins.len() {
        1..=MAX_PINS => Ok(()),
        actual => Err(TransportError::KeyPins { limit: MAX_PINS, actual }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_read_as_they_are_written() {
        let pin = KeyPin::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(pin.to_string(), text);
        assert_eq!(text.parse(), Ok(pin));
        for text in ["", "e3b0", "sha256:", "sha256:e3b0", "sha1:e3b0", &format!("{text}00")] {
            assert_eq!(text.parse::<KeyPin>(), Err(InvalidKeyPin), "{text}");
        }
    }

    #[test]
    fn trust_needs_something_to_trust() {
        let error = TlsTrust::from_key_pins(Vec::new()).unwrap_err();
        assert!(matches!(error, TransportError::KeyPins { limit: 8, actual: 0 }), "{error}");
        assert!(TlsTrust::from_key_pins(vec![KeyPin::of(b""); 8]).is_ok());
        assert!(TlsTrust::from_key_pins(vec![KeyPin::of(b""); 9]).is_err());
    }
}
