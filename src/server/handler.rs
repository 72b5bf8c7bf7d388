//! What lies between the server and whatever answers.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{HeaderMap, Method, StatusCode, Uri};

use super::listener::LocalAddress;

/// An answer with its whole body. The server adds `Date`, `Content-Length` and, where it must, `Connection: close`.
pub type Response = hyper::Response<Bytes>;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request. Runs to its end even if the client goes away meanwhile.
    fn handle(&self, request: ReceivedRequest) -> impl Future<Output = Response> + Send;

    /// The answer when [`Handler::handle`] panicked: a bare 500 unless the protocol has a better one.
    fn answer_to_panic(&self) -> Response {
        bare(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, request: ReceivedRequest) -> impl Future<Output = Response> + Send {
        H::handle(self, request)
    }

    fn answer_to_panic(&self) -> Response {
        H::answer_to_panic(self)
    }
}

/// An answer of `status` with nothing in it.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// A request as it came off the wire.
pub struct ReceivedRequest {
    /// The method, whatever it is.
    pub method: Method,
    /// The request target; percent-encoding as sent.
    pub uri: Uri,
    /// Every header field, in the order of arrival within a name.
    pub headers: HeaderMap,
    /// The whole body, or why there is none: such a request is for the handler to refuse in its protocol's own way.
    pub body: Result<Bytes, BodyError>,
    /// Who sent it.
    pub peer: Peer,
}

/// Leaves out the headers and the body, which hold credentials and plaintext.
impl fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedRequest")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("peer", &self.peer)
            .field("body_len", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// Why a request has no body to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than [`super::Limits::max_body_bytes`], as declared or as sent; 413 is its status.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not whole within [`super::Limits::body_timeout`]; 408 is its status.
    #[error("the body did not arrive within {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// Broken off or wrongly framed; 400 is its status, if anyone still listens.
    #[error("the body broke off or is wrongly framed")]
    Incomplete,
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What the kernel says about it.
    pub address: PeerAddress,
    /// Whether the connection is under TLS.
    pub tls: bool,
    /// The listener that it came to.
    pub local: LocalAddress,
}

/// What the kernel says about the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// The credentials of the process that connected (`SO_PEERCRED`, unix(7)).
    Unix {
        /// Its process id, if in this process namespace.
        pid: Option<i32>,
        /// Its effective user id.
        uid: u32,
        /// Its effective group id.
        gid: u32,
    },
    /// Context id, which names the enclave on its parent, and port.
    Vsock {
        /// The context id.
        cid: u32,
        /// The port.
        port: u32,
    },
}

impl PeerAddress {
    /// What carries the bytes: `tcp`, `unix` or `vsock`.
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Unix { .. } => "unix",
            Self::Vsock { .. } => "vsock",
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix { pid: Some(pid), uid, .. } => write!(f, "unix:pid={pid},uid={uid}"),
            Self::Unix { pid: None, uid, .. } => write!(f, "unix:uid={uid}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}
