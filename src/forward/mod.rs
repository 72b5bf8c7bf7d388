//! The forwarder of a parent instance: enclaves reach TCP services through it, over vsock.
//!
//! An enclave has no network. It connects to a vsock port of its parent instance, and each port leads to one target of
//! the configuration: the list of routes is the list of what enclaves may reach, and an enclave cannot name anything
//! else. The bytes are carried as they are; what must not be read on the way is under TLS from end to end.
//!
//! ```text
//! Forwarder::bind(config, resolver) ─► BoundForwarder::run(shutdown)
//!                                       one accept loop a route ─► one task a connection: connect, then relay
//! ```
//!
//! For each connection the target's name is resolved anew and every address tried, also while the target restarts, until
//! [`ForwardLimits::connect_patience`] is over. A route's connections are bounded; one too many is closed, so that
//! its enclave knows at once and can try again.

mod config;
mod connect;
mod error;
mod metrics;
mod metrics_server;
mod relay;
mod resolve;
mod target;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use config::{ForwardConfig, ForwardLimits, Route};
pub use error::ForwardError;
pub use metrics::{Failure, Metrics};
pub use resolve::{Resolve, SystemResolver};
pub use target::{InvalidTarget, Target};

use crate::server::{
    BoundServer, Listener, ListenerConfig, LocalAddress, PeerAddress, Phase, Stream, reached,
};
use metrics::RouteMetrics;
use metrics_server::MetricsPage;

/// Where a forwarder starts.
#[derive(Debug)]
pub struct Forwarder;

/// A forwarder whose sockets are bound; connections wait in the kernel until [`BoundForwarder::run`].
pub struct BoundForwarder {
    routes: Vec<BoundRoute>,
    limits: ForwardLimits,
    resolver: Arc<dyn Resolve>,
    metrics: Arc<Metrics>,
    metrics_server: Option<BoundServer>,
}

struct BoundRoute {
    listener: Listener,
    target: Arc<Target>,
    metrics: Arc<RouteMetrics>,
}

impl Forwarder {
    /// Binds every listener of `config`, or none. Whether a target can be reached is not asked: it may come up later.
    ///
    /// # Errors
    /// When the configuration is impossible or a socket cannot be bound; those bound before it are closed.
    pub async fn bind(
        config: ForwardConfig,
        resolver: Arc<dyn Resolve>,
    ) -> Result<BoundForwarder, ForwardError> {
        let ForwardConfig { routes, limits, metrics: metrics_address } = config;
        limits.check()?;
        if routes.is_empty() {
            return Err(ForwardError::NoRoutes);
        }
        let mut metrics = Metrics::default();
        let mut bound = Vec::with_capacity(routes.len());
        for Route { listen, target } in routes {
            let listener = Listener::bind(ListenerConfig { address: listen, tls: None }).await?;
            let metrics = metrics.add_route(listener.local_address(), &target);
            bound.push(BoundRoute { listener, target: Arc::new(target), metrics });
        }
        let metrics_server = match metrics_address {
            Some(address) => Some(metrics_server::bind(address).await?),
            None => None,
        };
        Ok(BoundForwarder { routes: bound, limits, resolver, metrics: Arc::new(metrics), metrics_server })
    }
}

impl BoundForwarder {
    /// Each route as bound, in the order of the configuration.
    pub fn routes(&self) -> Vec<(LocalAddress, &Target)> {
        self.routes.iter().map(|route| (route.listener.local_address().clone(), &*route.target)).collect()
    }

    /// Where the counters can be read, when they can.
    pub fn metrics_address(&self) -> Option<LocalAddress> {
        self.metrics_server.as_ref().and_then(|server| server.local_addresses().into_iter().next())
    }

    /// The counters, which [`BoundForwarder::run`] goes on counting in.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Forwards until `shutdown` resolves, then drains: stops accepting, lets connections end by themselves within
    /// [`ForwardLimits::drain_timeout`], and breaks off what is left. The counters can be read until the end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { routes, limits, resolver, metrics, metrics_server } = self;
        let (stop_metrics, metrics_stopped) = oneshot::channel::<()>();
        let metrics_task = metrics_server.map(|server| {
            tokio::spawn(server.run(MetricsPage(metrics), async { drop(metrics_stopped.await) }))
        });

        let (phase, phases) = watch::channel(Phase::Serving);
        let places: Vec<_> = routes.iter().map(|_| Arc::new(Semaphore::new(limits.places()))).collect();
        let shared = Arc::new(Shared { limits, resolver, phases });
        let mut accept_loops = JoinSet::new();
        for (route, places) in routes.into_iter().zip(&places) {
            accept_loops.spawn(accept_loop(route, Arc::clone(places), Arc::clone(&shared)));
        }

        shutdown.await;
        phase.send_replace(Phase::Draining);
        while accept_loops.join_next().await.is_some() {}
        drain(&places, &phase, &shared.limits).await;

        drop(stop_metrics);
        if let Some(task) = metrics_task {
            let _ = task.await;
        }
    }
}

/// What the connections of all routes share.
struct Shared {
    limits: ForwardLimits,
    resolver: Arc<dyn Resolve>,
    phases: watch::Receiver<Phase>,
}

async fn accept_loop(route: BoundRoute, places: Arc<Semaphore>, shared: Arc<Shared>) {
    let BoundRoute { mut listener, target, metrics } = route;
    let mut draining = shared.phases.clone();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = reached(&mut draining, Phase::Draining) => break,
            accepted = listener.next_connection() => accepted,
        };
        let place = tokio::select! {
            biased;
            () = reached(&mut draining, Phase::Draining) => break,
            place = timeout(shared.limits.place_timeout, Arc::clone(&places).acquire_owned()) => place,
        };
        // The semaphore is never closed, so what fails is the wait.
        let Ok(Ok(place)) = place else {
            metrics.refused();
            tracing::warn!(%peer, %target, limit = shared.limits.max_connections, "closed a connection: too many");
            continue;
        };
        metrics.accepted();
        let connection = Connection {
            stream,
            peer,
            target: Arc::clone(&target),
            metrics: Arc::clone(&metrics),
            shared: Arc::clone(&shared),
            _place: place,
        };
        tokio::spawn(connection.forward());
    }
}

/// An accepted connection and its place under the limit.
struct Connection {
    stream: Stream,
    peer: PeerAddress,
    target: Arc<Target>,
    metrics: Arc<RouteMetrics>,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn forward(self) {
        let Self { stream, peer, target, metrics, shared, _place } = self;
        let mut closing = shared.phases.clone();
        let ended = tokio::select! {
            biased;
            () = reached(&mut closing, Phase::Closing) => Err(Failure::Drained),
            ended = connect_and_relay(stream, &target, &metrics, &shared) => ended,
        };
        match ended {
            Ok(()) => tracing::debug!(%peer, %target, "a connection ended"),
            Err(failure) => tracing::warn!(%peer, %target, %failure, "a connection failed"),
        }
        metrics.ended(ended);
    }
}

async fn connect_and_relay(
    enclave: Stream,
    target: &Target,
    metrics: &RouteMetrics,
    shared: &Shared,
) -> Result<(), Failure> {
    let tcp = connect::connect(target, &*shared.resolver, &shared.limits, metrics).await?;
    relay::relay(enclave, tcp, shared.limits.idle_timeout, metrics).await
}

/// Waits for all places to come back: that is when no connection is left.
async fn drain(places: &[Arc<Semaphore>], phase: &watch::Sender<Phase>, limits: &ForwardLimits) {
    /// Tasks told to break off do so at their next await.
    const BREAK_OFF: Duration = Duration::from_secs(1);

    let all = || async {
        for places in places {
            let _ = places.acquire_many(limits.max_connections).await;
        }
    };
    if timeout(limits.drain_timeout, all()).await.is_ok() {
        tracing::info!("drained: no connection is left");
        return;
    }
    tracing::warn!(after = ?limits.drain_timeout, "drain timed out: breaking off what is left");
    phase.send_replace(Phase::Closing);
    let _ = timeout(BREAK_OFF, all()).await;
}
