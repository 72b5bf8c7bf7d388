//! `policy put`, `policy get` and what works on the texts of policies.

mod described_request;
mod evidence;
mod explain;
mod explanation_text;
mod from_describe_eif;
mod from_eif;
mod get;
mod image;
mod lint;
mod put;
mod replay;
mod rollout;

use std::path::Path;

use clap::Subcommand;

use super::data_dir::{DataDir, read_input};
use super::error::CliError;
use crate::policy::{IdentityPolicy, KeyPolicy, MAX_IDENTITY_POLICY_BYTES, MAX_POLICY_BYTES, PolicyError};

/// Say who may use a key for what.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    Put(put::Put),
    Get(get::Get),
    Explain(Box<explain::Explain>),
    Replay(replay::Replay),
    Lint(lint::Lint),
    FromEif(from_eif::FromEif),
    FromDescribeEif(from_describe_eif::FromDescribeEif),
    Rollout(rollout::Rollout),
}

impl PolicyCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        match self {
            PolicyCommand::Put(command) => command.run(data_dir).await,
            PolicyCommand::Get(command) => command.run(data_dir).await,
            PolicyCommand::Explain(command) => command.run(data_dir).await,
            PolicyCommand::Replay(command) => command.run(data_dir).await,
            PolicyCommand::Lint(command) => command.run(data_dir).await,
            PolicyCommand::FromEif(command) => command.run(),
            PolicyCommand::FromDescribeEif(command) => command.run(),
            PolicyCommand::Rollout(command) => command.run(),
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
