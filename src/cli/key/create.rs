use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::ListedKey;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::cli::policy::read_policy;
use crate::crypto::fill_random;
use crate::keys::{AliasName, Key, KeyId, KeyState, MAX_DESCRIPTION_LEN, Realm};
use crate::policy::KeyPolicy;
use crate::root_key::{RootKey, wrap_new_material};
use crate::store::{KeyEntry, Store};
use crate::time::UnixTime;

/// Make a symmetric key with new random material.
///
/// Prints the key's ARN. Without --policy the key gets KMS's default: the account root, and nobody else, may use it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// What the key is for.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,

    /// The key policy, a file of IAM JSON, or - for standard input.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// A name for the key, alias/NAME.
    #[arg(long, value_name = "ALIAS")]
    alias: Option<String>,

    /// Print the key's metadata as JSON.
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        if self.description.chars().count() > MAX_DESCRIPTION_LEN {
            return Err(CliError::usage(format!(
                "a description has at most {MAX_DESCRIPTION_LEN} characters"
            )));
        }
        let alias = self.alias.as_deref().map(AliasName::parse).transpose().map_err(CliError::usage)?;
        let policy = self.policy.as_deref().map(read_policy).transpose()?;
        let store = data_dir.open_store().await?;
        let root_key = data_dir.open_root_key()?;
        let realm = store.realm().await.map_err(CliError::failed)?;
        let policy = match policy {
            Some(policy) => policy,
            None => default_policy(&realm)?,
        };
        let now = UnixTime::now();
        let key = new_key(&realm, &root_key, self.description, policy, now).await?;
        store.insert_key(&key).await.map_err(CliError::failed)?;
        if let Some(alias) = &alias {
            store.insert_alias(alias, key.id, now).await.map_err(|error| {
                CliError::failed(error).hint(format!("the key {} was made, without an alias", key.arn))
            })?;
        }
        if !self.json {
            return print_line(key.arn.as_str());
        }
        let aliases = alias.iter().map(ToString::to_string).collect();
        print_json(&ListedKey::of(&KeyEntry { key, aliases }, &realm))
    }
}

async fn new_key(
    realm: &Realm,
    root_key: &dyn RootKey,
    description: String,
    policy: KeyPolicy,
    created_at: UnixTime,
) -> Result<Key, CliError> {
    let mut id = [0; 16];
    fill_random(&mut id).map_err(CliError::failed)?;
    let id = KeyId::from_random_bytes(id);
    let material = wrap_new_material(root_key, id).await.map_err(CliError::failed)?;
    Ok(Key {
        id,
        arn: realm.key_arn(id),
        state: KeyState::Enabled,
        description,
        created_at,
        deletion_at: None,
        rotation: None,
        policy: Arc::new(policy),
        materials: vec![material],
    })
}

/// KMS developer guide, *Default key policy*.
fn default_policy(realm: &Realm) -> Result<KeyPolicy, CliError> {
    let text = serde_json::json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", realm.account())},
            "Action": "kms:*",
            "Resource": "*",
        }],
    });
    KeyPolicy::parse(&text.to_string()).map_err(CliError::failed)
}
