//! `console`, and `console operator add`, `list`, `remove`.

mod add_operator;
mod list_operators;
mod password;
mod remove_operator;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::data_dir::DataDir;
use super::error::CliError;
use super::logging::{self, LogFormat};
use super::output::print_line;
use super::serve::{self, TlsFiles, bound_url, shutdown_signal};
use crate::attestation::{Requirements, TrustAnchors};
use crate::audit::open_key;
use crate::config::{Config, ListenSocket, ListenUrl};
use crate::console::{Console, ConsoleSources};
use crate::server::{BoundServer, Server, ServerConfig};
use crate::signed_note::NoteVerifier;
use crate::store::Store;
use crate::time::UnixTime;

/// Show keys, decisions and documents on web pages, for operators who sign in.
///
/// The pages are read-only. The data directory may be in use by a broker; `serve --console URL` shows the same.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "What is not given here is taken from broker.toml in the data directory."
)]
pub(super) struct ConsoleCommand {
    #[command(subcommand)]
    command: Option<Subcommands>,

    /// Where to listen: http://IP:PORT on the loopback, or https://IP:PORT. Default: http://127.0.0.1:8090.
    #[arg(long, value_name = "URL")]
    listen: Option<ListenUrl>,

    /// The server's certificate chain in PEM. Default: the one that `init --tls` made.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// The private key of the certificate in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Judge documents under this root (PEM) as well as under that of AWS, as the broker does that is told so.
    #[arg(long, value_name = "FILE")]
    trust_anchor: Vec<PathBuf>,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Say who may sign in.
    #[command(subcommand)]
    Operator(OperatorCommand),
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    Add(add_operator::Add),
    List(list_operators::List),
    Remove(remove_operator::Remove),
}

impl ConsoleCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        match self.command {
            Some(Subcommands::Operator(OperatorCommand::Add(command))) => command.run(data_dir).await,
            Some(Subcommands::Operator(OperatorCommand::List(command))) => command.run(data_dir).await,
            Some(Subcommands::Operator(OperatorCommand::Remove(command))) => command.run(data_dir).await,
            None => self.serve(data_dir).await,
        }
    }

    async fn serve(self, data_dir: &DataDir) -> Result<(), CliError> {
        let Self { command: _, listen, tls_certificate, tls_key, trust_anchor, log_format } = self;
        let flags = Config {
            console: listen,
            tls_certificate,
            tls_key,
            trust_anchors: trust_anchor,
            ..Config::default()
        };
        let config = Config::load(data_dir.path()).map_err(CliError::failed)?.overridden_by(flags);
        let trust_anchors = serve::trust_anchors(&config.trust_anchors)?;
        let configured: Vec<String> = trust_anchors.configured().map(ToString::to_string).collect();
        logging::start(log_format, &configured, None)?;
        let store: Arc<dyn Store> = Arc::new(data_dir.open_store().await?);
        if store.list_operators().await.map_err(CliError::failed)?.is_empty() {
            return Err(CliError::failed("nobody may sign in to the console")
                .hint("add an operator with `nitro-key-broker console operator add NAME`"));
        }
        let url = config.console.clone().unwrap_or_else(|| serve::loopback_url(8090, false));
        let shutdown = shutdown_signal()?;
        let (server, console) =
            bind(&url, &config, &TlsFiles::of(&config, data_dir)?, data_dir, store, trust_anchors).await?;
        announce(&server, &url)?;
        server.run(console, shutdown).await;
        tracing::info!("drained and stopped");
        Ok(())
    }
}

/// The console on its own listener.
pub(super) async fn bind(
    url: &ListenUrl,
    config: &Config,
    tls: &TlsFiles,
    data_dir: &DataDir,
    store: Arc<dyn Store>,
    trust_anchors: TrustAnchors,
) -> Result<(BoundServer, Console), CliError> {
    let ListenSocket::Tcp(address) = url.socket else {
        return Err(CliError::usage(format!(
            "the console cannot listen on {url}: browsers need http:// or https://"
        )));
    };
    if !url.tls && !address.ip().to_canonical().is_loopback() {
        return Err(CliError::usage(format!(
            "the console at {url} can be reached from other hosts and has no TLS"
        ))
        .hint(format!("use https://{address}, with a certificate")));
    }
    if store.list_operators().await.map_err(CliError::failed)?.is_empty() {
        tracing::warn!("nobody may sign in to the console: add an operator with `console operator add`");
    }
    let listeners = vec![serve::listener_config(url, false, tls)?];
    let server = Server::bind(ServerConfig { listeners, limits: Console::limits() })
        .await
        .map_err(CliError::failed)?;
    let requirements: Requirements = config.requirements();
    let sources = ConsoleSources {
        store,
        trust_anchors,
        requirements,
        audit_log: data_dir.audit_log(),
        checkpoint_key: checkpoint_key(data_dir),
        clock: Arc::new(UnixTime::now),
    };
    Ok((server, Console::new(sources).await.map_err(CliError::failed)?))
}

/// The public half of the key that signs checkpoints, where it can be read.
fn checkpoint_key(data_dir: &DataDir) -> Option<NoteVerifier> {
    let path = data_dir.audit_key();
    let read = open_key(&path).inspect_err(|error| tracing::warn!(%error, "checkpoints cannot be verified"));
    read.ok().map(|signer| signer.verifier().clone())
}

/// Says where the console is.
pub(super) fn announce(server: &BoundServer, url: &ListenUrl) -> Result<(), CliError> {
    for address in server.local_addresses() {
        let url = bound_url(&address, url.tls);
        tracing::info!(%url, "console");
        print_line(&format!("console on {url}"))?;
    }
    Ok(())
}
