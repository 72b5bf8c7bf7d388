//! What a server is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ServerError;
use super::tls::ServerTls;

/// The listeners and the limits that hold across all of them.
#[derive(Debug)]
pub struct ServerConfig {
    /// At least one.
    pub listeners: Vec<ListenerConfig>,
    /// Bounds on what clients may take.
    pub limits: Limits,
}

/// One socket to listen on.
#[derive(Debug)]
pub struct ListenerConfig {
    /// Where.
    pub address: ListenAddress,
    /// The TLS identity to show; `None` speaks plain HTTP.
    pub tls: Option<ServerTls>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 lets the kernel choose.
    Tcp {
        /// Address and port.
        address: SocketAddr,
        /// Plain HTTP on an address that other hosts reach is refused unless this says so: whoever is on the path can
        /// answer in the broker's place.
        allow_plain_non_loopback: bool,
    },
    /// A Unix socket. A file that a dead process left behind is replaced; anything else at the path is an error.
    Unix {
        /// The socket's path, which is removed on a clean exit.
        path: PathBuf,
        /// Permission bits; connecting takes the write bit. [`ListenAddress::DEFAULT_UNIX_MODE`] admits owner and group.
        mode: u32,
    },
    /// A vsock port, by which an enclave reaches its parent instance.
    Vsock {
        /// The context id to listen on; [`ListenAddress::VMADDR_CID_ANY`] for all.
        cid: u32,
        /// The port; `u32::MAX` lets the kernel choose.
        port: u32,
    },
}

impl ListenAddress {
    /// `rw-rw----`.
    pub const DEFAULT_UNIX_MODE: u32 = 0o660;

    /// Any context id (vsock(7)).
    pub const VMADDR_CID_ANY: u32 = tokio_vsock::VMADDR_CID_ANY;
}

/// Bounds on what clients may take. The defaults are for a broker; none can be switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time across all listeners, with the requests that outlive their connection. At least 1;
    /// default 512, which bounds the memory of bodies to 512 MiB when every client sends the longest.
    pub max_connections: u32,
    /// Longest request body. Default 1 MiB. The longest members that KMS models, an attestation document of 262,144
    /// bytes, a ciphertext of 6,144 and ten grant tokens of 8,192, come to about 430 KiB in JSON.
    pub max_body_bytes: usize,
    /// Longest request line and headers together; beyond it the answer is 431. At least 8192 bytes; default 16 KiB,
    /// room for a session token of 4 KiB and more.
    pub max_head_bytes: usize,
    /// Most header fields; beyond it the answer is 431. Default 64.
    pub max_headers: usize,
    /// From the start of a TLS connection to the end of its handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// From the start of a connection, or the end of its last answer, to the end of the next request's headers. So
    /// this bounds slow headers and idle keep-alive connections alike. Default 30 s.
    pub head_timeout: Duration,
    /// From the end of the headers to the end of the body. Default 15 s.
    pub body_timeout: Duration,
    /// Longest a client may leave an answer unread in full buffers. Default 15 s.
    pub write_stall_timeout: Duration,
    /// Longest that requests in flight may take at shutdown. Default 20 s, under the 30 s after which container
    /// runtimes commonly kill.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_body_bytes: 1024 * 1024,
            max_head_bytes: 16 * 1024,
            max_headers: 64,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(15),
            write_stall_timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// What hyper takes as its smallest read buffer.
pub(super) const MIN_HEAD_BYTES: usize = 8192;

impl Limits {
    pub(super) fn check(&self) -> Result<(), ServerError> {
        let at_least = |name, value: usize, minimum| {
            if value < minimum {
                Err(ServerError::LimitTooLow { name, minimum, actual: value })
            } else {
                Ok(())
            }
        };
        at_least("max_connections", usize::try_from(self.max_connections).unwrap_or(usize::MAX), 1)?;
        at_least("max_head_bytes", self.max_head_bytes, MIN_HEAD_BYTES)?;
        at_least("max_headers", self.max_headers, 1)
    }
}
