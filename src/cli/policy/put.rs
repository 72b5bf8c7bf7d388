//! `policy put`.

use std::path::PathBuf;

use clap::Args;

use super::read_policy;
use crate::cli::data_dir::{DataDir, find_key};
use crate::cli::error::CliError;
use crate::store::KeyStore;

/// Replace a key's policy.
///
/// A policy that is not understood completely is refused. A running broker follows the new one from the next request on.
#[derive(Debug, Args)]
pub(in crate::cli) struct Put {
    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(value_name = "KEY")]
    key: String,

    /// A file of IAM JSON, or - for standard input.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
}

impl Put {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let policy = read_policy(&self.policy)?;
        let store = data_dir.open_store().await?;
        let entry = find_key(&store, &self.key).await?;
        store.set_policy(entry.key.id, &policy).await.map_err(CliError::failed)
    }
}
