//! `policy from-eif`.

use std::path::PathBuf;

use clap::Args;

use super::image::PolicyOptions;
use crate::cli::eif;
use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::eif::Measurements;
use crate::policy::statement_text;

/// Make the key policy for one image: its enclaves alone may use the key.
///
/// PCR0 is pinned, and PCR8 when the image is signed; the signature is verified first. `policy put KEY -` takes what this
/// prints. Exit status 1 for a file that is no consistent image.
#[derive(Debug, Args)]
pub(in crate::cli) struct FromEif {
    /// The image, as `nitro-cli build-enclave` writes it, or - for standard input.
    #[arg(value_name = "FILE")]
    image: PathBuf,

    #[command(flatten)]
    options: PolicyOptions,

    /// Print the statement alone, to be put into a policy that is there.
    #[arg(long, conflicts_with = "account")]
    statement: bool,
}

impl FromEif {
    pub(super) fn run(self) -> Result<(), CliError> {
        print(&self.options, self.statement, &eif::read(&self.image)?.measurements)
    }
}

/// The policy of one image, or its statement alone.
pub(super) fn print(
    options: &PolicyOptions,
    statement_alone: bool,
    measured: &Measurements,
) -> Result<(), CliError> {
    let statement = options.statement.statement("Enclave", measured, None);
    if statement_alone {
        return print_line(&statement_text(&statement).map_err(CliError::failed)?);
    }
    options.print(&[statement])
}
