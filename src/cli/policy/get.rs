//! `policy get`.

use clap::Args;

use crate::cli::data_dir::{DataDir, find_key};
use crate::cli::error::CliError;
use crate::cli::output::print_line;

/// Print a key's policy as it was put.
#[derive(Debug, Args)]
pub(in crate::cli) struct Get {
    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(value_name = "KEY")]
    key: String,
}

impl Get {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = data_dir.open_store().await?;
        print_line(find_key(&store, &self.key).await?.key.policy.text().trim_end())
    }
}
