use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::CliError;
use super::logging::{self, LogFormat};
use super::output::print_line;
use super::serve::{bound_url, shutdown_signal};
use crate::config::forward::{ForwardSettings, RouteSetting};
use crate::forward::{ForwardConfig, Forwarder, SystemResolver};

/// Open files beside those of connections: listeners, name servers, the runtime's own.
const OTHER_OPEN_FILES: u64 = 64;

/// Carry enclaves' vsock connections to TCP services, on their parent instance, until SIGTERM or SIGINT.
///
/// Each route leads from one place to listen to one target, and nothing else can be reached through it. Bytes are carried
/// as they are: what the parent instance must not read is under TLS between the enclave and the target. Each route is
/// printed to standard output as `forwarding URL to HOST:PORT`.
#[derive(Debug, Args)]
pub(super) struct Forward {
    /// Where enclaves connect and where that leads, such as vsock://any:8443=broker.example.com:8443; repeatable. The
    /// first half is vsock://any:PORT, vsock://CID:PORT or unix:PATH. The name is resolved anew for each connection.
    #[arg(long = "route", value_name = "LISTEN=HOST:PORT")]
    routes: Vec<RouteSetting>,

    /// Routes and other settings in TOML. Flags override its settings; routes add up.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Serve counters for Prometheus at http://IP:PORT/metrics, a loopback address.
    #[arg(long, value_name = "IP:PORT")]
    metrics: Option<SocketAddr>,

    /// Connections at a time on each route at most; further ones are closed. Default: 1024.
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,

    /// How long a connection is kept while its target cannot be reached, being tried again. Default: 10.
    #[arg(long, value_name = "SECONDS")]
    connect_patience: Option<u64>,

    /// How long a connection may stand still. Default: 300.
    #[arg(long, value_name = "SECONDS")]
    idle_timeout: Option<u64>,

    /// How long open connections may go on after SIGTERM. Default: 20.
    #[arg(long, value_name = "SECONDS")]
    drain_timeout: Option<u64>,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Forward {
    pub(super) async fn run(self) -> Result<(), CliError> {
        logging::start(self.log_format, &[], None)?;
        let file = match &self.config {
            Some(path) => ForwardSettings::load(path).map_err(CliError::usage)?,
            None => ForwardSettings::default(),
        };
        let settings = file.overridden_by(self.into_settings());
        if settings.routes.is_empty() {
            return Err(CliError::usage("no route is given").hint("pass --route, or --config with [[route]]"));
        }
        let config = settings.forward_config().map_err(CliError::usage)?;
        raise_open_file_limit(&config)?;
        let forwarder = Forwarder::bind(config, Arc::new(SystemResolver::default()));
        let forwarder = forwarder.await.map_err(CliError::failed)?;

        let shutdown = shutdown_signal()?;
        for (address, target) in forwarder.routes() {
            let url = bound_url(&address, false);
            tracing::info!(%url, %target, "forwarding");
            print_line(&format!("forwarding {url} to {target}"))?;
        }
        if let Some(address) = forwarder.metrics_address() {
            print_line(&format!("metrics on {}/metrics", bound_url(&address, false)))?;
        }
        forwarder.run(shutdown).await;
        tracing::info!("drained and stopped");
        Ok(())
    }

    fn into_settings(self) -> ForwardSettings {
        ForwardSettings {
            routes: self.routes,
            metrics: self.metrics,
            max_connections: self.max_connections,
            connect_patience_seconds: self.connect_patience,
            idle_timeout_seconds: self.idle_timeout,
            drain_timeout_seconds: self.drain_timeout,
        }
    }
}

/// Every connection takes two open files, and the usual limit of 1024 is there for programs that use `select`. The hard
/// limit is what the administrator means.
fn raise_open_file_limit(config: &ForwardConfig) -> Result<(), CliError> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| CliError::failed(format!("the limit on open files cannot be raised: {error}")))?;
    let routes = u64::try_from(config.routes.len()).unwrap_or(u64::MAX);
    let needed = routes
        .saturating_mul(u64::from(config.limits.max_connections))
        .saturating_mul(2)
        .saturating_add(OTHER_OPEN_FILES);
    match maximum {
        Some(limit) if limit < needed => Err(CliError::failed(format!(
            "{needed} open files are needed for so many connections, and the hard limit is {limit}"
        ))
        .hint("raise the limit (LimitNOFILE= in a systemd unit), or lower --max-connections")),
        _ => Ok(()),
    }
}
