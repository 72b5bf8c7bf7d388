use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::ListedKey;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::cli::policy::read_policy;
use crate::keys::{AliasName, KeyKind, KeyOrigin, KeySpec, KeyUsage, MAX_DESCRIPTION_LEN};
use crate::operations::{NewKey, default_key_policy};
use crate::store::{AliasStore, KeyEntry, KeyStore, Store};
use crate::time::UnixTime;

/// Make a key with new random material.
///
/// Prints the key's ARN. Without --policy the key gets KMS's default: the account root may use it, and whoever in the
/// account has an identity policy that allows it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// What the key is made of, as CreateKey of KMS names it.
    #[arg(long, value_name = "SPEC", default_value = "SYMMETRIC_DEFAULT", value_parser = PossibleValuesParser::new(KeySpec::ALL.map(KeySpec::name)))]
    key_spec: String,

    /// What the key does; needed where its spec has a choice.
    #[arg(long, value_name = "USAGE", value_parser = PossibleValuesParser::new(KeyUsage::ALL.map(KeyUsage::name)))]
    key_usage: Option<String>,

    /// What the key is for, in words.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,

    /// The key policy, a file of IAM JSON, or - for standard input.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Where its material comes from: made here, or imported later.
    #[arg(long, value_enum, default_value_t = Origin::AwsKms)]
    origin: Origin,

    /// A name for the key, alias/NAME.
    #[arg(long, value_name = "ALIAS")]
    alias: Option<String>,

    /// Print the key's metadata as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Origin {
    #[value(name = "AWS_KMS")]
    AwsKms,
    #[value(name = "EXTERNAL")]
    External,
}

impl From<Origin> for KeyOrigin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::AwsKms => Self::AwsKms,
            Origin::External => Self::External,
        }
    }
}

impl Create {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        if self.description.chars().count() > MAX_DESCRIPTION_LEN {
            return Err(CliError::usage(format!(
                "a description has at most {MAX_DESCRIPTION_LEN} characters"
            )));
        }
        let kind = kind(&self.key_spec, self.key_usage.as_deref())?;
        let alias = self.alias.as_deref().map(AliasName::parse).transpose().map_err(CliError::usage)?;
        let policy = self.policy.as_deref().map(read_policy).transpose()?;
        let store = data_dir.open_store().await?;
        let root_key = data_dir.open_root_key()?;
        let realm = store.realm().await.map_err(CliError::failed)?;
        let policy = match policy {
            Some(policy) => policy,
            None => default_key_policy(&realm).map_err(CliError::failed)?,
        };
        let now = UnixTime::now();
        let new_key = NewKey { description: self.description, origin: self.origin.into(), policy, kind };
        let key = new_key.make(&realm, &root_key, now).await.map_err(CliError::failed)?;
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
        print_json(&ListedKey::of(&KeyEntry { key, aliases, tags: BTreeMap::new() }, &realm))
    }
}

/// Where a spec has one usage only, it need not be given.
fn kind(spec: &str, usage: Option<&str>) -> Result<KeyKind, CliError> {
    let spec = KeySpec::from_name(spec).ok_or_else(|| CliError::usage("no such key spec"))?;
    let usage = match (usage, spec.usages()) {
        (Some(name), _) => {
            Some(KeyUsage::from_name(name).ok_or_else(|| CliError::usage("no such key usage"))?)
        }
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    KeyKind::new(spec, usage).map_err(|error| {
        let usages: Vec<&str> = spec.usages().iter().map(|usage| usage.name()).collect();
        CliError::usage(error).hint(format!("pass --key-usage {}", usages.join(" or ")))
    })
}
