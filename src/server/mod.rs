//! Listeners and connections: TCP, Unix sockets and vsock, each with or without TLS, all speaking HTTP/1.1.
//!
//! This module knows no KMS words. It brings whole requests to a [`Handler`] within the [`Limits`] of the
//! configuration and carries the answers back:
//!
//! ```text
//! Server::bind(config) ─► BoundServer::run(handler, shutdown)
//!                           one accept loop a listener ─► one task a connection ─► one task a request
//! ```
//!
//! When all connections of [`Limits::max_connections`] are in use, each listener holds one accepted connection back
//! and leaves the others in the kernel's queue: an overload costs the clients time and the broker nothing. Idle and
//! stalled connections are closed by the timeouts, so places come free.
//!
//! A request once read is handled to its end even if its client goes away, so that a decision is never half recorded.
//! Its place is counted until then.

mod body;
mod config;
mod connection;
mod error;
mod handler;
mod listener;
mod stream;
pub mod tls;
pub mod tls_identity;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use connection::{Connection, Shared};

pub use config::{Limits, ListenAddress, ListenerConfig, ServerConfig};
pub use error::ServerError;
pub use handler::{BodyError, Handler, Peer, PeerAddress, ReceivedRequest, Response};
pub(crate) use listener::Listener;
pub use listener::LocalAddress;
pub(crate) use stream::Stream;

use crate::metrics::ConnectionMetrics;

/// Where a server starts.
#[derive(Debug)]
pub struct Server;

/// A server whose sockets are bound and listening; connections wait in the kernel until [`BoundServer::run`].
#[derive(Debug)]
pub struct BoundServer {
    listeners: Vec<Listener>,
    limits: Limits,
    metrics: ConnectionMetrics,
}

impl Server {
    /// Binds every listener of `config`, or none. To be called inside a Tokio runtime with I/O and time.
    ///
    /// # Errors
    /// When the configuration is unsafe or impossible, or a socket cannot be bound; those bound before it are closed.
    pub async fn bind(config: ServerConfig) -> Result<BoundServer, ServerError> {
        let ServerConfig { listeners, limits } = config;
        limits.check()?;
        if listeners.is_empty() {
            return Err(ServerError::NoListeners);
        }
        let mut bound = Vec::with_capacity(listeners.len());
        for listener in listeners {
            bound.push(Listener::bind(listener).await?);
        }
        let metrics = ConnectionMetrics::default();
        metrics.set_limit(limits.max_connections);
        Ok(BoundServer { listeners: bound, limits, metrics })
    }
}

impl BoundServer {
    /// Where it listens, in the order of the configuration, with the ports that the kernel chose for port 0.
    pub fn local_addresses(&self) -> Vec<LocalAddress> {
        self.listeners.iter().map(|listener| listener.local_address().clone()).collect()
    }

    /// What it counts of its connections.
    pub fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    /// Serves until `shutdown` resolves, then drains: stops accepting, closes idle connections, lets requests in
    /// flight finish within [`Limits::drain_timeout`], and breaks off what is left.
    pub async fn run(self, handler: impl Handler, shutdown: impl Future<Output = ()>) {
        let Self { listeners, limits, metrics } = self;
        let places = Arc::new(Semaphore::new(max_connections(&limits)));
        let (phase, phases) = watch::channel(Phase::Serving);
        let shared = Arc::new(Shared { handler, limits, phases, metrics });

        let mut accept_loops = JoinSet::new();
        for listener in listeners {
            accept_loops.spawn(accept_loop(listener, Arc::clone(&places), Arc::clone(&shared)));
        }

        shutdown.await;
        phase.send_replace(Phase::Draining);
        while accept_loops.join_next().await.is_some() {}
        drain(&places, &phase, &shared.limits).await;
    }
}

/// The life of a server, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Connections are accepted.
    Serving,
    /// None is accepted any more, those that are there may end.
    Draining,
    /// What is left is broken off.
    Closing,
}

/// Resolves once `phases` has come to `phase`; at once when the server itself is gone.
pub(crate) async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = phases.wait_for(|current| *current >= phase).await;
}

async fn accept_loop<H: Handler>(mut listener: Listener, places: Arc<Semaphore>, shared: Arc<Shared<H>>) {
    let mut draining = shared.phases.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached(&mut draining, Phase::Draining) => break,
            accepted = listener.next_connection() => accepted,
        };
        if places.available_permits() == 0 {
            shared.metrics.held_back();
        }
        let place = tokio::select! {
            biased;
            () = reached(&mut draining, Phase::Draining) => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { break };
        let connection = Connection::new(accepted, &listener, Arc::clone(&shared), place);
        tokio::spawn(connection.serve());
    }
}

/// Waits for all places to come back: that is when no connection and no request is left.
async fn drain(places: &Semaphore, phase: &watch::Sender<Phase>, limits: &Limits) {
    /// Tasks told to break off do so at their next await.
    const BREAK_OFF: Duration = Duration::from_secs(1);

    let all = || places.acquire_many(limits.max_connections);
    if timeout(limits.drain_timeout, all()).await.is_ok() {
        tracing::info!("drained: no connection is left");
        return;
    }
    let left = max_connections(limits).saturating_sub(places.available_permits());
    tracing::warn!(connections = left, after = ?limits.drain_timeout, "drain timed out: breaking off what is left");
    phase.send_replace(Phase::Closing);
    let _ = timeout(BREAK_OFF, all()).await;
}

fn max_connections(limits: &Limits) -> usize {
    usize::try_from(limits.max_connections).unwrap_or(Semaphore::MAX_PERMITS)
}
