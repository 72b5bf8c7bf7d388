//! The counters over HTTP, for this host.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use super::error::ForwardError;
use super::metrics::Metrics;
use crate::server::{
    BoundServer, Handler, Limits, ListenAddress, ListenerConfig, ReceivedRequest, Response, Server,
    ServerConfig,
};

/// Scrapers at a time: there is one as a rule.
const MAX_CONNECTIONS: u32 = 16;

/// The text format of Prometheus.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Binds a server for `GET /metrics`.
pub(super) async fn bind(address: SocketAddr) -> Result<BoundServer, ForwardError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(ForwardError::MetricsNotOnLoopback { address });
    }
    let address = ListenAddress::Tcp { address, allow_plain_non_loopback: false };
    let config = ServerConfig {
        listeners: vec![ListenerConfig { address, tls: None }],
        limits: Limits { max_connections: MAX_CONNECTIONS, max_body_bytes: 0, ..Limits::default() },
    };
    Ok(Server::bind(config).await?)
}

/// Answers with the counters as they are.
pub(super) struct MetricsPage(pub(super) Arc<Metrics>);

impl Handler for MetricsPage {
    fn handle(&self, request: ReceivedRequest) -> impl Future<Output = Response> + Send {
        let response = self.answer(&request);
        async { response }
    }
}

impl MetricsPage {
    fn answer(&self, request: &ReceivedRequest) -> Response {
        let mut response = Response::new(Bytes::new());
        if request.uri.path() != "/metrics" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        } else if request.method != Method::GET {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        } else {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROMETHEUS_TEXT));
            *response.body_mut() = self.0.to_string().into();
        }
        response
    }
}
