use clap::Args;

use super::Holder;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::print_line;

/// List the names of the policies of a user or role.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    holder: Holder,
}

impl List {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let policies = self.holder.policies(data_dir).await?;
        policies.iter().try_for_each(|attached| print_line(attached.name.as_str()))
    }
}
