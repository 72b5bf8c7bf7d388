//! A byte stream to the broker: TCP, Unix socket or vsock, with TLS around it unless told otherwise.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_vsock::{VsockAddr, VsockStream};

use super::endpoint::Endpoint;

/// The name that a broker's certificate carries where the endpoint has none: on Unix sockets and vsock.
pub const DEFAULT_SERVER_NAME: &str = "nitro-key-broker";

/// How long connecting may take, the TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A CA file holds a few certificates of a few KiB.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// Whether the broker proves who it is.
#[derive(Clone, Debug)]
pub enum TransportSecurity {
    /// The broker's certificate must lead to one of the trusted CAs.
    Tls(TlsTrust),
    /// Development only. Nothing in an envelope proves who sent it: whoever sits on the path can answer with a data key
    /// that they chose, and read what is sealed under it.
    InsecurePlaintext,
}

/// The certificate authorities that vouch for the broker, and the name they must vouch for.
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
        let mut pem = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_CA_BYTES).read_to_end(&mut pem))
            .map_err(|source| TransportError::ReadCa { path: path.to_owned(), source })?;
        Self::from_ca_pem(&pem)
    }

    /// Trusts the CAs in `pem` and no others.
    ///
    /// # Errors
    /// When `pem` holds no CA certificate, or something else besides.
    pub fn from_ca_pem(pem: &[u8]) -> Result<Self, TransportError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TransportError::Ca(error.to_string()))?;
            roots.add(certificate).map_err(|error| TransportError::Ca(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(TransportError::Ca("it holds no certificate".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TransportError::Ca(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), server_name: None })
    }

    /// The name that the broker's certificate must carry, in place of the endpoint's host or [`DEFAULT_SERVER_NAME`].
    pub fn with_server_name(mut self, server_name: impl Into<String>) -> Self {
        self.server_name = Some(server_name.into());
        self
    }
}

impl fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTrust").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Makes connections to one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    endpoint: Endpoint,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The HTTP `Host`.
    host: String,
}

impl Connector {
    /// Checks that endpoint and security go together.
    pub(super) fn new(endpoint: Endpoint, security: TransportSecurity) -> Result<Self, TransportError> {
        let trust = match (&endpoint, security) {
            (Endpoint::Https(_), TransportSecurity::InsecurePlaintext) => {
                return Err(TransportError::HttpsWithoutCa);
            }
            (Endpoint::Http(_), TransportSecurity::Tls(_)) => return Err(TransportError::HttpWithCa),
            (_, TransportSecurity::Tls(trust)) => Some(trust),
            (_, TransportSecurity::InsecurePlaintext) => None,
        };
        let host = match &endpoint {
            Endpoint::Https(authority) | Endpoint::Http(authority) => authority.to_string(),
            Endpoint::Unix(_) | Endpoint::Vsock { .. } => DEFAULT_SERVER_NAME.to_owned(),
        };
        let tls = match trust {
            Some(trust) => {
                let name = trust.server_name.unwrap_or_else(|| match &endpoint {
                    Endpoint::Https(authority) => authority.host.clone(),
                    _ => DEFAULT_SERVER_NAME.to_owned(),
                });
                let name =
                    ServerName::try_from(name.clone()).map_err(|_| TransportError::ServerName(name))?;
                Some((trust.config, name))
            }
            None => None,
        };
        Ok(Self { endpoint, tls, host })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Connects, and authenticates the broker where TLS is used.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, TransportError> {
        match timeout(CONNECT_TIMEOUT, self.connect_unbounded()).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::ConnectTimeout {
                endpoint: self.endpoint.clone(),
                after: CONNECT_TIMEOUT,
            }),
        }
    }

    async fn connect_unbounded(&self) -> Result<Box<dyn Stream>, TransportError> {
        let stream = self
            .connect_socket()
            .await
            .map_err(|source| TransportError::Connect { endpoint: self.endpoint.clone(), source })?;
        let Some((config, name)) = &self.tls else { return Ok(stream) };
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name.clone(), stream)
            .await
            .map_err(|source| TransportError::Handshake { endpoint: self.endpoint.clone(), source })?;
        Ok(Box::new(stream))
    }

    async fn connect_socket(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.endpoint {
            Endpoint::Https(authority) | Endpoint::Http(authority) => {
                let stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Endpoint::Vsock { cid, port } => {
                Box::new(VsockStream::connect(VsockAddr::new(*cid, *port)).await?)
            }
        })
    }
}

/// Any of the transports.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The CA file could not be read.
    #[error("cannot read the CA file {}: {source}", path.display())]
    ReadCa {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The CA file holds something else.
    #[error("the CA file is not usable: {0}")]
    Ca(String),
    /// Not a DNS name or address.
    #[error("{0:?} is not a server name")]
    ServerName(String),
    /// `https` without a CA to trust.
    #[error("an https endpoint needs the CA that issued the broker's certificate")]
    HttpsWithoutCa,
    /// A CA for an endpoint that has no TLS.
    #[error("an http endpoint has no TLS that a CA could vouch for")]
    HttpWithCa,
    /// Nobody answers.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// Where to.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// The other side is not the broker, or does not speak TLS 1.3.
    #[error("no TLS with {endpoint}: {source}")]
    Handshake {
        /// Where to.
        endpoint: Endpoint,
        /// What the TLS library said.
        source: io::Error,
    },
    /// Nobody answers in time.
    #[error("no connection to {endpoint} within {} s", after.as_secs())]
    ConnectTimeout {
        /// Where to.
        endpoint: Endpoint,
        /// How long was waited.
        after: Duration,
    },
}

impl TransportError {
    /// What the reader of the message can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::HttpsWithoutCa | Self::ReadCa { .. } => {
                Some("the broker's `init --tls` writes the CA certificate that clients pin")
            }
            Self::HttpWithCa => Some("write https:// in the endpoint"),
            Self::Connect { .. } | Self::ConnectTimeout { .. } => {
                Some("is the broker running and listening there?")
            }
            Self::Handshake { .. } => Some(
                "does the CA file belong to this broker, and does its certificate carry the server name?",
            ),
            Self::Ca(_) | Self::ServerName(_) => None,
        }
    }
}
