//! The command line: one file for each subcommand.
//!
//! Exit status: 0 when it is done, 1 when it was refused or failed, 2 when the command line is wrong. Reasons go to
//! standard error, results to standard output.

mod alias;
mod audit;
mod console;
mod credential;
mod data_dir;
mod document;
mod eif;
mod error;
mod forward;
mod init;
mod inspect;
mod key;
mod logging;
mod monitoring;
mod output;
mod policy;
mod principal;
mod serve;
mod telemetry;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use data_dir::DataDir;
use error::CliError;

/// A self-hosted key service for AWS Nitro Enclaves that speaks the AWS KMS protocol.
///
/// It releases key material only to an enclave that proves what it runs, encrypted to that enclave's key, and never in
/// plaintext.
#[derive(Debug, Parser)]
#[command(name = "nitro-key-broker", version, propagate_version = true)]
struct Cli {
    /// Directory of the store, the root key, the audit log and the TLS identity.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "NITRO_KEY_BROKER_DATA_DIR",
        default_value = "nitro-key-broker-data"
    )]
    data_dir: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Console(console::ConsoleCommand),
    Forward(forward::Forward),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    Alias(alias::AliasCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Principal(principal::PrincipalCommand),
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    #[command(subcommand)]
    Eif(eif::EifCommand),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come this way too, with status 0.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            error.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let data_dir = DataDir::new(cli.data_dir);
    let command = match cli.command {
        Command::Audit(command) => return command.run(&data_dir),
        Command::Verify(command) => return command.run(),
        Command::Inspect(command) => return command.run(),
        Command::Eif(command) => return command.run(),
        command => command,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Init(command) => command.run(&data_dir).await,
            Command::Serve(command) => command.run(&data_dir).await,
            Command::Console(command) => command.run(&data_dir).await,
            Command::Forward(command) => command.run().await,
            Command::Key(command) => command.run(&data_dir).await,
            Command::Alias(command) => command.run(&data_dir).await,
            Command::Policy(command) => command.run(&data_dir).await,
            Command::Principal(command) => command.run(&data_dir).await,
            Command::Credential(command) => command.run(&data_dir).await,
            Command::Audit(command) => command.run(&data_dir),
            Command::Verify(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Eif(command) => command.run(),
        }
    })
}
