use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::console;
use super::data_dir::DataDir;
use super::error::CliError;
use super::logging::{self, LogFormat};
use super::monitoring::Monitoring;
use super::output::print_line;
use super::telemetry::Telemetry;
use crate::api::Api;
use crate::attestation::{TrustAnchors, Verifier};
use crate::audit::reader::is_chained;
use crate::audit::sink::{AuditSink, SinkSpec};
use crate::audit::{AuditError, AuditLog, AuditSettings, create_key, open_key};
use crate::config::audit::AuditConfig;
use crate::config::{Config, ListenSocket, ListenUrl};
use crate::operations::Broker;
use crate::server::tls::ServerTls;
use crate::server::{ListenAddress, ListenerConfig, LocalAddress, Server, ServerConfig};
use crate::signed_note::NoteSigner;
use crate::store::Store;
use crate::time::UnixTime;

/// Answer KMS requests until SIGTERM or SIGINT.
///
/// Each place it listens on is printed to standard output as `listening on URL`; the log goes to standard error.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "What is not given here is taken from broker.toml in the data directory."
)]
pub(super) struct Serve {
    /// Print help.
    // In two columns, so that it fits a screen.
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// Where to listen: http://IP:PORT, https://IP:PORT, unix:PATH, unix+tls:PATH, vsock://any:PORT or
    /// vsock+tls://any:PORT; repeatable. Default: https://127.0.0.1:8443 after `init --tls`, else
    /// http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    listen: Vec<ListenUrl>,

    /// Show the console at http://IP:PORT on the loopback, or https://IP:PORT.
    #[arg(long, value_name = "URL")]
    console: Option<ListenUrl>,

    /// The server's certificate chain in PEM. Default: the one that `init --tls` made.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// The private key of the certificate in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Allow http:// on addresses that other hosts reach. Whoever is on the path can then answer in the broker's place.
    #[arg(long)]
    allow_plain_non_loopback: bool,

    /// Trust evidence under this root (PEM) as well as under that of AWS. FOR DEVELOPMENT: whoever holds its key can
    /// forge evidence. Every log line and audit record will say so.
    #[arg(long, value_name = "FILE")]
    trust_anchor: Vec<PathBuf>,

    /// How old an attestation document may be. Default: 300.
    #[arg(long, value_name = "SECONDS")]
    max_document_age: Option<u64>,

    /// How far ahead of this host's clock an attestation document may be dated. Default: 30.
    #[arg(long, value_name = "SECONDS")]
    max_document_ahead: Option<u64>,

    /// How far from this host's clock a signed request may be dated, 1 to 900. Default: 900.
    #[arg(long, value_name = "SECONDS")]
    max_clock_skew: Option<u64>,

    /// How long a presigned request may count, up to 604800; 0 refuses them. Default: 604800.
    #[arg(long, value_name = "SECONDS")]
    max_presigned: Option<u64>,

    /// Accept enclaves in debug mode. FOR DEVELOPMENT: their parent instance can read their memory.
    #[arg(long)]
    allow_debug: bool,

    /// Bytes of a request's body at most. Default: 1048576.
    #[arg(long, value_name = "BYTES")]
    max_body_bytes: Option<usize>,

    /// Connections at a time at most. Default: 512.
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,

    /// Serve /metrics for Prometheus, /livez and /readyz here, such as http://127.0.0.1:9464; not off the loopback
    /// without TLS. Default: nowhere.
    #[arg(long, value_name = "URL")]
    metrics: Option<ListenUrl>,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Serve {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        forbid_core_dumps()?;
        let log_format = self.log_format;
        let config =
            Config::load(data_dir.path()).map_err(CliError::failed)?.overridden_by(self.into_config());
        let window = config.signature_window().map_err(CliError::usage)?;
        let trust_anchors = trust_anchors(&config.trust_anchors)?;
        let configured: Vec<String> = trust_anchors.configured().map(ToString::to_string).collect();
        let telemetry = Telemetry::start(&config)?;
        logging::start(log_format, &configured, telemetry.layer())?;
        warn_of_development_settings(&config, &configured);

        let verifier = Verifier::new(trust_anchors.clone(), config.requirements());
        let store: Arc<dyn Store> = Arc::new(data_dir.open_store().await?);
        let root_key = Arc::new(data_dir.open_root_key()?);
        let broker = Broker::new(Arc::clone(&store), root_key, verifier).await.map_err(CliError::failed)?;
        let audit = open_audit_log(&config.audit, data_dir, telemetry.audit_sink())?;
        let api = Api::new(broker, audit, Arc::new(UnixTime::now))
            .with_signature_window(window)
            .with_callers_trace(telemetry.callers_trace());
        let api = Arc::new(api);
        let tls = TlsFiles::of(&config, data_dir)?;
        let (urls, server_config) = server_config(&config, &tls)?;
        let server = Server::bind(server_config).await.map_err(CliError::failed)?;

        let console = match &config.console {
            Some(url) => {
                Some((console::bind(url, &config, &tls, data_dir, store, trust_anchors).await?, url))
            }
            None => None,
        };

        let shutdown = shutdown_signal()?;
        for (address, ListenUrl { tls, .. }) in server.local_addresses().iter().zip(urls) {
            let url = bound_url(address, tls);
            tracing::info!(%url, "listening");
            print_line(&format!("listening on {url}"))?;
        }
        let (stop_console, console_stops) = oneshot::channel::<()>();
        let console = match console {
            Some(((server, console), url)) => {
                console::announce(&server, url)?;
                // Told to stop, or left alone by a broker that failed.
                Some(tokio::spawn(server.run(console, async move { drop(console_stops.await) })))
            }
            None => None,
        };
        let monitoring = Monitoring::bind(&config, &tls, &api).await?.serve(&[
            &*api,
            server.metrics(),
            telemetry.metrics(),
        ]);
        let housekeeping = tokio::spawn(keep_house(Arc::clone(&api)));
        let shutdown = async {
            shutdown.await;
            monitoring.set_draining();
        };
        server.run(Arc::clone(&api), shutdown).await;
        housekeeping.abort();
        drop(stop_console);
        if let Some(console) = console {
            console.await.map_err(CliError::failed)?;
        }
        api.store_usages().await.map_err(CliError::failed)?;
        api.finish_audit().await;
        telemetry.stop().await;
        monitoring.stop().await;
        tracing::info!("drained and stopped");
        Ok(())
    }

    fn into_config(self) -> Config {
        Config {
            listen: self.listen,
            console: self.console,
            tls_certificate: self.tls_certificate,
            tls_key: self.tls_key,
            allow_plain_non_loopback: self.allow_plain_non_loopback,
            trust_anchors: self.trust_anchor,
            max_document_age_seconds: self.max_document_age,
            max_document_ahead_seconds: self.max_document_ahead,
            max_clock_skew_seconds: self.max_clock_skew,
            max_presigned_seconds: self.max_presigned,
            allow_debug: self.allow_debug,
            max_body_bytes: self.max_body_bytes,
            max_connections: self.max_connections,
            audit: AuditConfig::default(),
            metrics: self.metrics,
            otlp: None,
        }
    }
}

/// The audit log with all its sinks, and the key that signs its checkpoints.
fn open_audit_log(
    config: &AuditConfig,
    data_dir: &DataDir,
    collector: Option<Box<dyn AuditSink>>,
) -> Result<AuditLog, CliError> {
    let specs = config.sinks();
    let built = specs
        .iter()
        .map(|spec| spec.build().map_err(|error| CliError::usage(format!("audit sink {spec}: {error}"))));
    let settings = AuditSettings {
        file: specs.contains(&SinkSpec::File).then(|| data_dir.audit_log()),
        rotation: config.rotation(),
        signer: Some(audit_key(data_dir)?),
        sinks: built.filter_map(Result::transpose).chain(collector.map(Ok)).collect::<Result<_, _>>()?,
    };
    AuditLog::start(settings).map_err(|error| match error {
        AuditError::Tampered { .. } | AuditError::AnotherLog { .. } => CliError::failed(error).hint(
            "`nitro-key-broker audit verify` tells more; to begin a new log, move audit.key and all audit files out of \
             the data directory and keep them, they are evidence",
        ),
        error => CliError::failed(error),
    })
}

/// The key that `init` made. A data directory from before there was one gets it now.
fn audit_key(data_dir: &DataDir) -> Result<NoteSigner, CliError> {
    let path = data_dir.audit_key();
    if path.exists() {
        return open_key(&path).map_err(CliError::failed);
    }
    if is_chained(&data_dir.audit_log()).map_err(CliError::failed)? {
        return Err(CliError::failed(format!("{} is gone, which signs for this audit log", path.display()))
            .hint("restore it, or begin a new log: move all audit files out of the data directory and keep them"));
    }
    let signer = create_key(&path).map_err(CliError::failed)?;
    tracing::warn!(
        file = %path.display(),
        verifier_key = %signer.verifier(),
        "made a key that signs checkpoints of the audit log from now on"
    );
    Ok(signer)
}

/// Looks from time to time whether a key's deletion or rotation is due. Both are a matter of days, so nothing hangs on the
/// minute.
async fn keep_house(api: Arc<Api>) {
    const PERIOD: Duration = Duration::from_secs(60);
    loop {
        if let Err(error) = api.keep_house().await {
            tracing::error!(%error, "keys that are due could not be deleted or rotated; trying again");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// A core file would hold the root key.
fn forbid_core_dumps() -> Result<(), CliError> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| CliError::failed(format!("core dumps cannot be forbidden: {error}")))
}

pub(super) fn trust_anchors(paths: &[PathBuf]) -> Result<TrustAnchors, CliError> {
    let aws = TrustAnchors::aws().map_err(CliError::failed)?;
    paths.iter().try_fold(aws, |anchors, path| {
        let pem = std::fs::read(path)
            .map_err(|error| CliError::failed(format!("trust anchor {}: {error}", path.display())))?;
        anchors.with_configured(&pem, path).map_err(CliError::failed)
    })
}

fn warn_of_development_settings(config: &Config, configured: &[String]) {
    for anchor in configured {
        tracing::warn!(
            anchor,
            "evidence under a configured root is accepted: whoever holds its key can forge it"
        );
    }
    if config.allow_debug {
        tracing::warn!("enclaves in debug mode are accepted: their parent instances can read their memory");
    }
}

/// The files of the server's certificate and its key, where there are any.
pub(super) struct TlsFiles(Option<(PathBuf, PathBuf)>);

impl TlsFiles {
    pub(super) fn of(config: &Config, data_dir: &DataDir) -> Result<Self, CliError> {
        let default = (data_dir.tls_certificate(), data_dir.tls_key());
        match (&config.tls_certificate, &config.tls_key) {
            (Some(certificate), Some(key)) => Ok(Self(Some((certificate.clone(), key.clone())))),
            (None, None) if default.0.exists() => Ok(Self(Some(default))),
            (None, None) => Ok(Self(None)),
            _ => Err(CliError::usage("tls_certificate and tls_key go together")),
        }
    }

    /// The certificate's file, and when it ends.
    pub(super) fn end(&self) -> Result<Option<(String, UnixTime)>, CliError> {
        let Some((certificate, _)) = &self.0 else { return Ok(None) };
        let not_after = self.load()?.not_after();
        Ok(not_after.map(|not_after| (certificate.display().to_string(), not_after)))
    }

    fn load(&self) -> Result<ServerTls, CliError> {
        let Some((certificate, key)) = &self.0 else {
            return Err(CliError::usage("a listener under TLS needs a certificate")
                .hint("pass --tls-certificate and --tls-key, or make them with `init --tls`"));
        };
        ServerTls::load(certificate, key).map_err(CliError::failed)
    }
}

/// Where to listen, and the same as the server takes it.
fn server_config(config: &Config, tls: &TlsFiles) -> Result<(Vec<ListenUrl>, ServerConfig), CliError> {
    let urls = match (config.listen.as_slice(), &tls.0) {
        ([], Some(_)) => vec![loopback_url(8443, true)],
        ([], None) => vec![loopback_url(8080, false)],
        (urls, _) => urls.to_vec(),
    };
    let listeners = urls.iter().map(|url| listener_config(url, config.allow_plain_non_loopback, tls));
    let server_config =
        ServerConfig { listeners: listeners.collect::<Result<_, _>>()?, limits: config.limits() };
    Ok((urls, server_config))
}

pub(super) fn listener_config(
    url: &ListenUrl,
    allow_plain_non_loopback: bool,
    tls: &TlsFiles,
) -> Result<ListenerConfig, CliError> {
    Ok(ListenerConfig {
        address: url.address(allow_plain_non_loopback),
        tls: if url.tls { Some(tls.load()?) } else { None },
    })
}

pub(super) fn loopback_url(port: u16, tls: bool) -> ListenUrl {
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    ListenUrl { socket: ListenSocket::Tcp(address), tls }
}

/// Resolves at SIGTERM or SIGINT.
pub(super) fn shutdown_signal() -> Result<impl Future<Output = ()>, CliError> {
    let listen = |kind| signal(kind).map_err(CliError::failed);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
            _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
        }
    })
}

/// A place to listen, with the port that the kernel chose.
pub(super) fn bound_url(address: &LocalAddress, tls: bool) -> ListenUrl {
    let socket = match address {
        LocalAddress::Tcp(address) => ListenSocket::Tcp(*address),
        LocalAddress::Unix(path) => ListenSocket::Unix(path.clone()),
        LocalAddress::Vsock { cid, port } => {
            ListenSocket::Vsock((*cid != ListenAddress::VMADDR_CID_ANY).then_some(*cid), *port)
        }
    };
    ListenUrl { socket, tls }
}
