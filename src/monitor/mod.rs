//! What the broker shows of itself, on a listener of its own: counters for Prometheus, and whether it lives and is ready.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | every counter, in the text format of Prometheus or, when asked, of OpenMetrics |
//! | `/livez` | 200 as long as the process answers at all |
//! | `/readyz` | 200 when a request could be carried out now, else 503; the body says which part fails |

mod health;
mod page;
mod process;

use std::sync::Arc;

use hyper::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use health::{Checked, Health, PartState};
pub use page::{Page, not_found};

use crate::metrics::{PREFIX, Register};
use crate::server::{
    BoundServer, Handler, Limits, ListenerConfig, ReceivedRequest, Response, Server, ServerConfig,
    ServerError,
};
use process::ProcessMetrics;

/// Scrapers and probes at a time: a handful as a rule.
const MAX_CONNECTIONS: u32 = 16;

/// Binds a server for scrapers and probes, which send no bodies.
///
/// # Errors
/// As [`Server::bind`].
pub async fn bind(listener: ListenerConfig) -> Result<BoundServer, ServerError> {
    let limits = Limits { max_connections: MAX_CONNECTIONS, max_body_bytes: 0, ..Limits::default() };
    Server::bind(ServerConfig { listeners: vec![listener], limits }).await
}

/// Answers scrapers and probes.
pub struct Monitor {
    page: Page,
    health: Arc<Health>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl Monitor {
    /// Shows what `parts` count, and the process itself.
    pub fn new(health: Arc<Health>, parts: &[&dyn Register]) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics));
        let own = registry.sub_registry_with_prefix(PREFIX);
        let build = BuildLabels { version: env!("CARGO_PKG_VERSION") };
        own.register("build", "The program", Info::new(build));
        health.register(own);
        for part in parts {
            part.register(own);
        }
        Self { page: Page::new(registry), health }
    }

    async fn answer(&self, request: &ReceivedRequest) -> Response {
        match request.uri.path() {
            "/metrics" => {
                // The counters say how ready the broker is.
                self.health.readiness().await;
                self.page.answer(request)
            }
            "/livez" => page::text(request, StatusCode::OK, "alive\n".into()),
            "/readyz" => {
                let readiness = self.health.readiness().await;
                let status =
                    if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                page::json(request, status, readiness.to_json())
            }
            _ => not_found(),
        }
    }
}

impl Handler for Monitor {
    async fn handle(&self, request: ReceivedRequest) -> Response {
        self.answer(&request).await
    }
}
