//! A byte stream to the broker: TCP, Unix socket or vsock, with TLS around it unless told otherwise.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_vsock::{VsockAddr, VsockStream};

use super::endpoint::Endpoint;
use super::tls::TlsTrust;

/// The name that a broker's certificate carries where the endpoint has none: on Unix sockets and vsock.
pub const DEFAULT_SERVER_NAME: &str = "nitro-key-broker";

/// How long connecting may take, the TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the broker proves who it is.
#[derive(Clone, Debug)]
pub enum TransportSecurity {
    /// The broker's certificate must lead to a trusted CA, hold a pinned key, or both.
    Tls(TlsTrust),
    /// Development only. Nothing in an envelope proves who sent it: whoever sits on the path can answer with a data key
    /// that they chose, and read what is sealed under it.
    InsecurePlaintext,
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
        let (config, given_name) = match trust.map(TlsTrust::into_parts) {
            Some((config, name)) => (Some(config), name),
            None => (None, None),
        };
        let host = match (&endpoint, &given_name) {
            (Endpoint::Https(authority), _) => authority.http_host(443),
            (Endpoint::Http(authority), _) => authority.http_host(80),
            // Behind a forwarder stands who is named: `kms.REGION.amazonaws.com` for one, which signatures cover.
            (Endpoint::Unix(_) | Endpoint::Vsock { .. }, Some(name)) => name.clone(),
            (Endpoint::Unix(_) | Endpoint::Vsock { .. }, None) => DEFAULT_SERVER_NAME.to_owned(),
        };
        let tls = match config {
            Some(config) => {
                let name = given_name.unwrap_or_else(|| match &endpoint {
                    Endpoint::Https(authority) => authority.host.clone(),
                    _ => DEFAULT_SERVER_NAME.to_owned(),
                });
                let name =
                    ServerName::try_from(name.clone()).map_err(|_| TransportError::ServerName(name))?;
                Some((config, name))
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
    /// No pinned key, or more than a broker has.
    #[error("{actual} key pins, expected 1 to {limit}")]
    KeyPins {
        /// The most that are taken.
        limit: usize,
        /// How many there are.
        actual: usize,
    },
    /// Not a DNS name or address.
    #[error("{0:?} is not a server name")]
    ServerName(String),
    /// `https` without a CA to trust.
    #[error("an https endpoint needs a CA or a key pin to know the broker by")]
    HttpsWithoutCa,
    /// A CA for an endpoint that has no TLS.
    #[error("an http endpoint has no TLS that a CA or a key pin could vouch for")]
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
                "does the CA file or key pin belong to this broker, and does its certificate carry the server name?",
            ),
            Self::Ca(_) | Self::KeyPins { .. } | Self::ServerName(_) => None,
        }
    }
}
