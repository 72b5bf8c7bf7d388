//! Why a server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The first listener or limit that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nothing to listen on.
    #[error("no listener is configured")]
    NoListeners,
    /// A limit under which nothing can be served.
    #[error("{name} is {actual}, at least {minimum} is needed")]
    LimitTooLow {
        /// The limit's name.
        name: &'static str,
        /// The lowest value that works.
        minimum: usize,
        /// The value configured.
        actual: usize,
    },
    /// Plain HTTP where other hosts reach it.
    #[error(
        "{address} can be reached from other hosts and has no TLS: configure TLS, or allow plain HTTP there explicitly"
    )]
    PlainNonLoopback {
        /// The address configured.
        address: SocketAddr,
    },
    /// The kernel refused a TCP listener.
    #[error("cannot listen on tcp:{address}")]
    BindTcp {
        /// The address configured.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused a Unix listener.
    #[error("cannot listen on unix:{}", path.display())]
    BindUnix {
        /// The path configured.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused a vsock listener.
    #[error("cannot listen on vsock:{cid}:{port}")]
    BindVsock {
        /// The context id configured.
        cid: u32,
        /// The port configured.
        port: u32,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The path of a Unix socket holds something else.
    #[error("{} exists and is not a socket: it is left as it is", path.display())]
    NotASocket {
        /// The path configured.
        path: PathBuf,
    },
    /// Another process listens at the path of a Unix socket.
    #[error("another process listens on unix:{}", path.display())]
    SocketInUse {
        /// The path configured.
        path: PathBuf,
    },
}
