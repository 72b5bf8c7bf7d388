use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::CliError;
use super::output::print_line;
use super::serve::{TlsFiles, bound_url, listener_config};
use crate::api::Api;
use crate::config::Config;
use crate::metrics::{CertificateMetrics, Register};
use crate::monitor::{self, Checked, Health, Monitor};
use crate::server::BoundServer;

/// The listener for scrapers and probes, bound where the configuration has one.
pub(super) struct Monitoring {
    server: Option<BoundServer>,
    health: Arc<Health>,
    certificates: CertificateMetrics,
}

/// A listener that answers until it is stopped.
pub(super) struct RunningMonitoring {
    health: Arc<Health>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Monitoring {
    pub(super) async fn bind(config: &Config, tls: &TlsFiles, api: &Arc<Api>) -> Result<Self, CliError> {
        let server = match &config.metrics {
            Some(url) => {
                let listener = listener_config(url, false, tls)?;
                let server = monitor::bind(listener).await.map_err(CliError::failed)?;
                for address in server.local_addresses() {
                    print_line(&format!("monitoring on {}", bound_url(&address, url.tls)))?;
                }
                Some(server)
            }
            None => None,
        };
        let health = Arc::new(Health::new(Arc::clone(api) as Arc<dyn Checked>));
        Ok(Self { server, health, certificates: certificates(tls, api)? })
    }

    /// Shows what `counted` counts, from now on.
    pub(super) fn serve(self, counted: &[&dyn Register]) -> RunningMonitoring {
        let Self { server, health, certificates } = self;
        let Some(server) = server else {
            return RunningMonitoring { health, stop: None, task: None };
        };
        let parts = [&[&certificates as &dyn Register], counted].concat();
        let monitor = Monitor::new(Arc::clone(&health), &parts);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(monitor, async { drop(stopped.await) }));
        RunningMonitoring { health, stop: Some(stop), task: Some(task) }
    }
}

impl RunningMonitoring {
    /// From now on probes are told to send nobody here.
    pub(super) fn set_draining(&self) {
        self.health.set_draining();
    }

    /// Ends, once whoever asked is answered.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}

/// When the certificates end: the server's own, and the roots that evidence may lead to.
fn certificates(tls: &TlsFiles, api: &Api) -> Result<CertificateMetrics, CliError> {
    let metrics = CertificateMetrics::default();
    if let Some((file, not_after)) = tls.end()? {
        metrics.tls(file, not_after);
    }
    for anchor in api.trust_anchors().iter() {
        if let Some(not_after) = anchor.not_after() {
            metrics.trust_anchor(anchor.to_string(), not_after);
        }
    }
    Ok(metrics)
}
