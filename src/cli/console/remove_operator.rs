use clap::Args;

use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::store::{OperatorName, OperatorStore};

/// Let somebody sign in to the console no more; their sessions end at once.
#[derive(Debug, Args)]
pub(in crate::cli) struct Remove {
    /// Their name.
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    name: OperatorName,
}

impl Remove {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = data_dir.open_store().await?;
        if !store.delete_operator(&self.name).await.map_err(CliError::failed)? {
            return Err(CliError::failed(format!("there is no operator {}", self.name))
                .hint("`nitro-key-broker console operator list` shows all"));
        }
        print_line(&format!("{} cannot sign in to the console any more", self.name))
    }
}
