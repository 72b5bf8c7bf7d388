//! `policy put`, `policy get` and what works on the texts of policies.

mod described_request;
mod diff;
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
mod unit_tests;
mod who_can;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde_json::Value;

use super::data_dir::{DataDir, read_input};
use super::error::CliError;
use crate::analysis::grant_of_json;
use crate::policy::{
    AttachedPolicy, Grant, IdentityPolicy, KeyPolicy, MAX_IDENTITY_POLICY_BYTES, MAX_POLICY_BYTES,
    PolicyError, PolicyName,
};

/// Bytes of a file of grants at most.
const MAX_GRANTS_BYTES: u64 = 1024 * 1024;

/// Grants that a file describes at most, each of which a byte numbers.
const MAX_GRANTS: usize = 256;

/// Say who may use a key for what.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    Put(put::Put),
    Get(get::Get),
    FromEif(from_eif::FromEif),
    FromDescribeEif(from_describe_eif::FromDescribeEif),
    Rollout(rollout::Rollout),
    Lint(lint::Lint),
    Test(unit_tests::Test),
    Explain(Box<explain::Explain>),
    WhoCan(who_can::WhoCan),
    Diff(diff::Diff),
    Replay(replay::Replay),
}

impl PolicyCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        match self {
            PolicyCommand::Put(command) => command.run(data_dir).await,
            PolicyCommand::Get(command) => command.run(data_dir).await,
            PolicyCommand::FromEif(command) => command.run(),
            PolicyCommand::FromDescribeEif(command) => command.run(),
            PolicyCommand::Rollout(command) => command.run(),
            PolicyCommand::Lint(command) => command.run(data_dir).await,
            PolicyCommand::Test(command) => command.run(),
            PolicyCommand::Explain(command) => command.run(data_dir).await,
            PolicyCommand::WhoCan(command) => command.run(data_dir).await,
            PolicyCommand::Diff(command) => command.run(),
            PolicyCommand::Replay(command) => command.run(data_dir).await,
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

/// Reads identity policies, each under its file's name.
pub(super) fn read_attached_policies(paths: &[PathBuf]) -> Result<Vec<AttachedPolicy>, CliError> {
    let attached = paths.iter().zip(1..).map(|(path, number)| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = PolicyName::parse(&stem).or_else(|_| PolicyName::parse(&format!("policy-{number}")));
        Ok(AttachedPolicy { name: name.map_err(CliError::usage)?, policy: read_identity_policy(path)? })
    });
    attached.collect()
}

/// Reads a grant on the key `resource` or an array of them, as ListGrants shows them.
pub(super) fn read_grants(path: &Path, resource: &str) -> Result<Vec<Arc<Grant>>, CliError> {
    let wrong = |error: &dyn std::fmt::Display| CliError::usage(format!("{}: {error}", path.display()));
    let json: Value =
        serde_json::from_slice(&read_input(path, MAX_GRANTS_BYTES)?).map_err(|error| wrong(&error))?;
    let listed = match json {
        Value::Array(listed) => listed,
        one => vec![one],
    };
    if listed.len() > MAX_GRANTS {
        return Err(wrong(&format!("more than {MAX_GRANTS} grants")));
    }
    let grants = (0_u8..=u8::MAX).zip(&listed);
    grants
        .map(|(number, grant)| {
            grant_of_json(grant, resource, number).map(Arc::new).map_err(|error| wrong(&error))
        })
        .collect()
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
