//! `policy from-describe-eif`.

use std::path::PathBuf;

use clap::Args;

use super::from_eif;
use super::image::{MAX_DESCRIPTION_BYTES, PolicyOptions, described};
use crate::cli::data_dir::read_input;
use crate::cli::error::CliError;

/// Make the key policy for one image from what nitro-cli says of it.
///
/// As `policy from-eif`, for an image that is elsewhere: takes the JSON of `nitro-cli describe-eif`, `nitro-cli
/// build-enclave` and `eif measure --json`. Whatever nitro-cli found wrong is refused, with exit status 1.
#[derive(Debug, Args)]
pub(in crate::cli) struct FromDescribeEif {
    /// The JSON, or - for standard input.
    #[arg(value_name = "JSON")]
    description: PathBuf,

    #[command(flatten)]
    options: PolicyOptions,

    /// Print the statement alone, to be put into a policy that is there.
    #[arg(long, conflicts_with = "account")]
    statement: bool,
}

impl FromDescribeEif {
    pub(super) fn run(self) -> Result<(), CliError> {
        let text = read_input(&self.description, MAX_DESCRIPTION_BYTES)?;
        let measured = described(&text)
            .map_err(|problem| CliError::failed(format!("{}: {problem}", self.description.display())))?;
        from_eif::print(&self.options, self.statement, &measured)
    }
}
