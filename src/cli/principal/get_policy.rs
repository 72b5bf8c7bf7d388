use clap::Args;

use super::Named;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::print_line;

/// Print an attached policy as it was put.
#[derive(Debug, Args)]
pub(in crate::cli) struct Get {
    #[command(flatten)]
    named: Named,
}

impl Get {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let (_, name) = self.named.parse()?;
        let policies = self.named.holder.policies(data_dir).await?;
        let found = policies.iter().find(|attached| attached.name == name);
        print_line(found.ok_or_else(|| self.named.not_there())?.policy.text().trim_end())
    }
}
