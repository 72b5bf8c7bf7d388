//! The command line: one file per subcommand.

mod attestation_document;
mod connection_options;
mod development_root;
mod failure;
mod init;
mod kms;
mod kmstool;
mod nsm_options;
mod open;
mod output;
mod parameters;
mod progress;
mod proxy;
mod seal;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use enclave_sample::init::is_first_process;

use self::connection_options::{ConnectionOptions, SigningOptions};
use self::failure::Failure;
use self::nsm_options::NsmOptions;

/// The enclave's side of nitro-key-broker: obtains keys with an attestation document, seals files under them, and is a
/// KMS endpoint for what else runs in the enclave.
#[derive(Debug, Parser)]
#[command(
    name = "enclave-sample",
    version,
    after_help = "`enclave-sample kmstool-enclave-cli` has the commands, flags and output of AWS's tool; so has a link to this \
                  program whose name is kmstool_enclave_cli.\n\n\
                  Exit status: 0 done, 1 refused or failed, 2 wrong usage. Reasons and hints go to stderr."
)]
struct Cli {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(flatten)]
    signing: SigningOptions,
    #[command(flatten)]
    nsm: NsmOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Kms(kms::KmsCommand),
    /// Be a KMS endpoint for unmodified SDKs in the enclave: add the document, open the answers
    Proxy(proxy::Arguments),
    /// Seal a file under a data key of its own
    Seal(seal::Arguments),
    /// Open a sealed file
    Open(open::Arguments),
    /// Be the first process of an enclave: mounts, NSM driver, heartbeat, loopback; then run a command
    Init(init::Arguments),
    /// Write an attestation document that names a new RSA key
    AttestationDocument(attestation_document::Arguments),
    /// Make a development root for simulated NSMs
    DevelopmentRoot(development_root::Arguments),
}

/// Runs the command of this process's arguments and reports how it went. Under the name of AWS's tool it is that tool,
/// and as the `/init` that the kernel starts it does what the image says.
pub fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    if name == kmstool::PROGRAM_NAME {
        return kmstool::main_with(env::args_os());
    }
    if name == init::PROGRAM_NAME && is_first_process() && arguments.len() == 0 {
        return init::main_of_image(&program);
    }
    if env::args_os().nth(1).is_some_and(|command| command == kmstool::COMMAND_NAME) {
        return kmstool::main_with(arguments);
    }
    match run(Cli::parse()) {
        Ok(exit_code) => exit_code,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { connection, signing, nsm, command } = cli;
    let client = || connection.client(&nsm, signing.credentials()?);
    match command {
        // Before any thread: the first process of an enclave starts and reaps others.
        Command::Init(arguments) => return init::run(arguments),
        Command::Kms(command) => in_runtime(kms::run(command, client))?,
        Command::Proxy(arguments) => in_runtime(async { proxy::run(client()?, arguments).await })?,
        Command::Seal(arguments) => in_runtime(async { seal::run(&client()?, arguments).await })?,
        Command::Open(arguments) => in_runtime(async { open::run(&client()?, arguments).await })?,
        Command::AttestationDocument(arguments) => attestation_document::run(&nsm, arguments)?,
        Command::DevelopmentRoot(arguments) => development_root::run(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs what handles keys: in a process whose memory is kept from swap and dumps.
fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // What is not permitted is not there to be had.
    let _ = enclave_sample::memory::protect_process();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?
        .block_on(work)
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
