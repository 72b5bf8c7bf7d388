//! The command line: one file per subcommand.

mod attestation_document;
mod connection_options;
mod decrypt;
mod development_root;
mod failure;
mod generate_data_key;
mod nsm_options;
mod open;
mod output;
mod parameters;
mod seal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::connection_options::ConnectionOptions;
use self::failure::Failure;
use self::nsm_options::NsmOptions;

/// The enclave's side of nitro-key-broker: obtains data keys with an attestation document and seals files under them.
#[derive(Debug, Parser)]
#[command(
    name = "enclave-sample",
    version,
    after_help = "Exit status: 0 done, 1 refused or failed, 2 wrong usage. Reasons and hints go to stderr."
)]
pub struct Cli {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(flatten)]
    nsm: NsmOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Obtain a new data key; the flags are those of `aws kms generate-data-key`
    GenerateDataKey(generate_data_key::Arguments),
    /// Have a ciphertext decrypted; the flags are those of `aws kms decrypt`
    Decrypt(decrypt::Arguments),
    /// Seal a file under a data key of its own
    Seal(seal::Arguments),
    /// Open a sealed file
    Open(open::Arguments),
    /// Write an attestation document that names a new RSA key
    AttestationDocument(attestation_document::Arguments),
    /// Make a development root for simulated NSMs
    DevelopmentRoot(development_root::Arguments),
}

/// Runs the command and reports how it went.
pub fn run(cli: Cli) -> ExitCode {
    match run_command(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run_command(cli: Cli) -> Result<(), Failure> {
    let Cli { connection, nsm, command } = cli;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    match command {
        Command::GenerateDataKey(arguments) => {
            runtime.block_on(generate_data_key::run(&connection.client(&nsm)?, arguments))
        }
        Command::Decrypt(arguments) => runtime.block_on(decrypt::run(&connection.client(&nsm)?, arguments)),
        Command::Seal(arguments) => runtime.block_on(seal::run(&connection.client(&nsm)?, arguments)),
        Command::Open(arguments) => runtime.block_on(open::run(&connection.client(&nsm)?, arguments)),
        Command::AttestationDocument(arguments) => attestation_document::run(&nsm, arguments),
        Command::DevelopmentRoot(arguments) => development_root::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
