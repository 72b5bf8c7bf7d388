use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;

use crate::server::tls::client_config;

/// Bytes of a collector's answer at most: it says how many items it refused, and why.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Brings requests to a collector, each over a connection of its own: there is one every few seconds.
#[derive(Clone, Debug)]
pub struct Client {
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    runtime: Handle,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate is no CA's.
    #[error("the collector's CA cannot be used: {0}")]
    Certificate(rustls::Error),
}

impl Client {
    /// Knows servers under TLS by `certificates`, their CAs; without any, there is no TLS.
    pub(super) fn new(
        certificates: &[CertificateDer<'static>],
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.clone()).map_err(ClientError::Certificate)?;
        }
        let tls = if roots.is_empty() {
            None
        } else {
            Some(Arc::new(client_config(roots).map_err(ClientError::Certificate)?))
        };
        Ok(Self { tls, timeout, runtime: Handle::current() })
    }

    /// As [`HttpClient::send_bytes`], from a thread that may wait.
    pub(super) fn send_blocking(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.block_on(self.send_bytes(request))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or("the endpoint has no host")?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tcp = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        match (&self.tls, is_tls) {
            (_, false) => exchange(tcp, request, &uri).await,
            (Some(config), true) => {
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
                exchange(stream, request, &uri).await
            }
            (None, true) => Err("https needs the collector's CA: the setting certificate".into()),
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // In a task of the runtime, since the exporter may be driven by another executor.
        let (client, timeout) = (self.clone(), self.timeout);
        let sent = async move { tokio::time::timeout(timeout, client.send(request)).await };
        self.runtime.spawn(sent).await?.map_err(|_| "the collector does not answer in time")?
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
    uri: &Uri,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let (mut head, body) = request.into_parts();
    let authority = uri.authority().ok_or("the endpoint has no host")?;
    head.headers.insert(HOST, authority.as_str().parse()?);
    head.uri = uri.path_and_query().map(|path| path.as_str()).unwrap_or("/").parse()?;
    let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}
