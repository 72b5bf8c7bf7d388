//! `key create`, `key list`, `key describe`.

mod create;
mod describe;
mod list;

use clap::Subcommand;
use serde::Serialize;

use super::data_dir::DataDir;
use super::error::CliError;
use crate::keys::{KeyState, Realm};
use crate::store::KeyEntry;

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

/// A key in the shape of the KMS API's `KeyMetadata`, with its aliases and material.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyMetadata {
    #[serde(rename = "AWSAccountId")]
    aws_account_id: String,
    key_id: String,
    arn: String,
    creation_date: String,
    enabled: bool,
    description: String,
    key_usage: &'static str,
    key_state: &'static str,
    origin: &'static str,
    key_manager: &'static str,
    key_spec: &'static str,
    encryption_algorithms: [&'static str; 1],
    multi_region: bool,
    current_key_material_id: Option<String>,
    aliases: Vec<String>,
}

impl KeyMetadata {
    fn of(entry: &KeyEntry, realm: &Realm) -> Self {
        let KeyEntry { key, aliases } = entry;
        Self {
            aws_account_id: realm.account().to_owned(),
            key_id: key.id.to_string(),
            arn: key.arn.to_string(),
            creation_date: key.created_at.to_string(),
            enabled: key.state == KeyState::Enabled,
            description: key.description.clone(),
            key_usage: "ENCRYPT_DECRYPT",
            key_state: key.state.name(),
            origin: "AWS_KMS",
            key_manager: "CUSTOMER",
            key_spec: "SYMMETRIC_DEFAULT",
            encryption_algorithms: ["SYMMETRIC_DEFAULT"],
            multi_region: false,
            current_key_material_id: key.current_material().map(|material| material.id().to_string()),
            aliases: aliases.clone(),
        }
    }
}
