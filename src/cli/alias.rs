//! `alias create`.

use clap::{Args, Subcommand};

use super::data_dir::{DataDir, find_key};
use super::error::CliError;
use super::output::print_line;
use crate::keys::AliasName;
use crate::store::{AliasStore, Store};
use crate::time::UnixTime;

/// Name keys.
#[derive(Debug, Subcommand)]
pub(super) enum AliasCommand {
    Create(Create),
}

/// Give a key another name.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The new name, alias/NAME.
    #[arg(value_name = "ALIAS")]
    name: String,

    /// Key id or key ARN of the key.
    #[arg(long, value_name = "KEY")]
    key_id: String,
}

impl AliasCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let AliasCommand::Create(Create { name, key_id }) = self;
        let name = AliasName::parse(&name).map_err(CliError::usage)?;
        if key_id.contains("alias/") {
            return Err(CliError::usage("an alias names a key, not another alias: give a key id or key ARN"));
        }
        let store = data_dir.open_store().await?;
        let entry = find_key(&store, &key_id).await?;
        store.insert_alias(&name, entry.key.id, UnixTime::now()).await.map_err(CliError::failed)?;
        let realm = store.realm().await.map_err(CliError::failed)?;
        print_line(&realm.alias_arn(&name))
    }
}
