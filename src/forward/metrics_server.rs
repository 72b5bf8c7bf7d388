//! The counters over HTTP, for this host.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use super::error::ForwardError;
use super::metrics::Metrics;
use crate::monitor;
use crate::server::{BoundServer, Handler, ListenAddress, ListenerConfig, ReceivedRequest, Response};

/// Binds a server for `GET /metrics`.
pub(super) async fn bind(address: SocketAddr) -> Result<BoundServer, ForwardError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(ForwardError::MetricsNotOnLoopback { address });
    }
    let address = ListenAddress::Tcp { address, allow_plain_non_loopback: false };
    Ok(monitor::bind(ListenerConfig { address, tls: None }).await?)
}

/// Answers with the counters as they are.
pub(super) struct MetricsPage(pub(super) Arc<Metrics>);

impl Handler for MetricsPage {
    fn handle(&self, request: ReceivedRequest) -> impl Future<Output = Response> + Send {
        let response = match request.uri.path() {
            "/metrics" => self.0.page().answer(&request),
            _ => monitor::not_found(),
        };
        async { response }
    }
}
