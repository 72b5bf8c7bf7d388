//! What a forwarder is told at its start.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::error::ForwardError;
use super::target::Target;
use crate::server::ListenAddress;

/// The routes, and the limits that hold for each of them.
#[derive(Debug)]
pub struct ForwardConfig {
    /// At least one.
    pub routes: Vec<Route>,
    /// Bounds on what enclaves may take.
    pub limits: ForwardLimits,
    /// A loopback address on which the counters can be read over HTTP.
    pub metrics: Option<SocketAddr>,
}

/// One place where enclaves connect, and the one target that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// A vsock port, or a Unix socket: that is how a vsock port appears on a host that emulates vsock.
    pub listen: ListenAddress,
    /// Where its connections go.
    pub target: Target,
}

/// Bounds on what enclaves may take, and how long a target is waited for. None can be switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardLimits {
    /// Connections at a time on each route, at least 1. Default 1024: with two buffers of 16 KiB each they take 32 MiB.
    pub max_connections: u32,
    /// How long a connection waits for a place before it is closed. Default 1 s.
    pub place_timeout: Duration,
    /// Longest that one resolution of the target's name may take. Default 5 s, the resolver's own first timeout
    /// (resolv.conf(5)).
    pub resolve_timeout: Duration,
    /// Longest that connecting to one address may take. Default 3 s: the first two SYN retransmissions of Linux.
    pub connect_timeout: Duration,
    /// How long a connection is kept waiting while its target cannot be reached, over all attempts. Default 10 s, which
    /// is more than a restart takes and less than clients wait for an answer.
    pub connect_patience: Duration,
    /// How long a connection may stand still, no byte moving either way. Default 300 s.
    pub idle_timeout: Duration,
    /// Longest that connections may go on at shutdown. Default 20 s, under the 30 s after which container runtimes
    /// commonly kill.
    pub drain_timeout: Duration,
}

impl Default for ForwardLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            place_timeout: Duration::from_secs(1),
            resolve_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            connect_patience: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

impl ForwardLimits {
    pub(super) fn check(&self) -> Result<(), ForwardError> {
        if self.max_connections == 0 {
            return Err(ForwardError::LimitIsZero { name: "max_connections" });
        }
        let durations = [
            ("resolve_timeout", self.resolve_timeout),
            ("connect_timeout", self.connect_timeout),
            ("connect_patience", self.connect_patience),
            ("idle_timeout", self.idle_timeout),
        ];
        match durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            Some((name, _)) => Err(ForwardError::LimitIsZero { name }),
            None => Ok(()),
        }
    }

    pub(super) fn places(&self) -> usize {
        usize::try_from(self.max_connections).unwrap_or(Semaphore::MAX_PERMITS)
    }
}
