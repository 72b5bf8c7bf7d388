//! Why a forwarder does not start.

use std::net::SocketAddr;

use crate::server::ServerError;

/// The first route or limit that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Nothing to forward.
    #[error("no route is configured")]
    NoRoutes,
    /// A limit under which nothing can be forwarded.
    #[error("{name} is zero")]
    LimitIsZero {
        /// The limit's name.
        name: &'static str,
    },
    /// The counters tell who talks to whom and are for this host alone.
    #[error("metrics can be served on a loopback address only, not on {address}")]
    MetricsNotOnLoopback {
        /// The address configured.
        address: SocketAddr,
    },
    /// A socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] ServerError),
}
