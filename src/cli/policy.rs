//! `policy put`, `policy get`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::data_dir::{DataDir, find_key, read_input};
use super::error::CliError;
use super::output::print_line;
use crate::policy::{IdentityPolicy, KeyPolicy, MAX_IDENTITY_POLICY_BYTES, MAX_POLICY_BYTES, PolicyError};
use crate::store::KeyStore;

/// Say who may use a key for what.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    Put(Put),
    Get(Get),
}

/// Replace a key's policy.
///
/// A policy that is not understood completely is refused. A running broker follows the new one from the next request on.
#[derive(Debug, Args)]
pub(super) struct Put {
    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(value_name = "KEY")]
    key: String,

    /// A file of IAM JSON, or - for standard input.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
}

/// Print a key's policy as it was put.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(value_name = "KEY")]
    key: String,
}

impl PolicyCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        match self {
            PolicyCommand::Put(Put { key, policy }) => {
                let policy = read_policy(&policy)?;
                let store = data_dir.open_store().await?;
                let entry = find_key(&store, &key).await?;
                store.set_policy(entry.key.id, &policy).await.map_err(CliError::failed)
            }
            PolicyCommand::Get(Get { key }) => {
                let store = data_dir.open_store().await?;
                print_line(find_key(&store, &key).await?.key.policy.text().trim_end())
            }
        }
    }
}

/// Reads a key policy and refuses one that is not understood completely.
pub(super) fn read_policy(path: &Path) -> Result<KeyPolicy, CliError> {
    read(path, MAX_POLICY_BYTES, KeyPolicy::parse)
}

/// As [`read_policy`], of an identity policy.
pub(super) fn read_identity_policy(path: &Path) -> Result<IdentityPolicy, CliError> {
    read(path, MAX_IDENTITY_POLICY_BYTES, IdentityPolicy::parse)
}

fn read<P>(
    path: &Path,
    max_bytes: usize,
    parse: impl FnOnce(&str) -> Result<P, PolicyError>,
) -> Result<P, CliError> {
    let content = read_input(path, max_bytes as u64)?;
    let refused = |problem: &dyn std::fmt::Display| {
        CliError::failed(format!("the policy in {} is refused: {problem}", path.display()))
            .hint("docs/policy.md lists the supported language; no policy was changed")
    };
    let text = String::from_utf8(content).map_err(|error| refused(&error))?;
    parse(&text).map_err(|error| refused(&error))
}
