use clap::Args;

use super::Named;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::store::IdentityPolicyStore;

/// Take a policy away from a user or role.
#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    #[command(flatten)]
    named: Named,
}

impl Delete {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let (holder, name) = self.named.parse()?;
        let store = data_dir.open_store().await?;
        let was_there = store.delete_identity_policy(&holder, &name).await.map_err(CliError::failed)?;
        if was_there { Ok(()) } else { Err(self.named.not_there()) }
    }
}
