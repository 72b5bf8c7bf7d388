//! `key create`, `key list`, `key describe`.

mod create;
mod describe;
mod list;

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use super::data_dir::DataDir;
use super::error::CliError;
use crate::keys::Realm;
use crate::operations::KeyMetadata;
use crate::store::KeyEntry;
use crate::time::UnixTime;

/// Make and look at keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    Create(create::Create),
    List(list::List),
    Describe(describe::Describe),
}

impl KeyCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        match self {
            KeyCommand::Create(command) => command.run(data_dir).await,
            KeyCommand::List(command) => command.run(data_dir).await,
            KeyCommand::Describe(command) => command.run(data_dir).await,
        }
    }
}

/// A key in the shape of the KMS API's `KeyMetadata`, dates as people read them, with its aliases and tags.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedKey {
    #[serde(flatten)]
    metadata: KeyMetadata<String>,
    aliases: Vec<String>,
    tags: BTreeMap<String, String>,
}

impl ListedKey {
    fn of(entry: &KeyEntry, realm: &Realm) -> Self {
        let metadata = KeyMetadata::of(entry, realm, UnixTime::now(), |time| time.to_string());
        Self { metadata, aliases: entry.aliases.clone(), tags: entry.tags.clone() }
    }
}
