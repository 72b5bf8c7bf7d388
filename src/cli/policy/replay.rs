//! `policy replay`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{read_identity_policy, read_policy};
use crate::analysis::{Change, ChangeGroup, CurrentPolicies, ReplayReport, Scope, replay_log};
use crate::audit::reader::Lines;
use crate::cli::data_dir::{DataDir, find_key};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::policy::{AttachedPolicy, PolicyHolder, PolicyName};
use crate::store::{SqliteStore, Store};

/// Make every recorded decision again, under other policies.
///
/// Without --policy or --identity-policy, under those of the store as it is now. Grants are those that were there at the
/// time and still are. Exit status 0 when every decision comes out as it did, 1 when one would change.
#[derive(Debug, Args)]
pub(in crate::cli) struct Replay {
    /// The audit log, with its older files beside it, instead of that of the data directory.
    #[arg(long, value_name = "LOG")]
    audit: Option<PathBuf>,

    /// A key policy to try; only decisions about --key are made again.
    #[arg(long, value_name = "FILE", requires = "key")]
    policy: Option<PathBuf>,

    /// The key: its id, its ARN, alias/NAME or alias ARN; with --without-store its ARN.
    #[arg(long, value_name = "KEY", requires = "policy")]
    key: Option<String>,

    /// An identity policy to try in place of all that --principal has; only that principal's decisions are made again.
    /// May be repeated.
    #[arg(long, value_name = "FILE", requires = "principal")]
    identity_policy: Vec<PathBuf>,

    /// The user or role that the identity policies are tried for.
    #[arg(long, value_name = "ARN", requires = "identity_policy", value_parser = parse_holder)]
    principal: Option<PolicyHolder>,

    /// Know nothing but the policies to try: no other policies and no grants that are not in the log.
    #[arg(long)]
    without_store: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = if self.without_store { None } else { Some(data_dir.open_store().await?) };
        let scope = self.scope(store.as_ref()).await?;
        let as_store = store.as_ref().map(|store| store as &dyn Store);
        let mut policies = CurrentPolicies::new(as_store, scope).await.map_err(CliError::failed)?;

        let log = self.audit.unwrap_or_else(|| data_dir.audit_log());
        let lines = Lines::of_log(&log).map_err(CliError::usage)?;
        let report = replay_log(lines, &mut policies).await.map_err(CliError::failed)?;
        if report.counts.records == 0 {
            return Err(CliError::usage(format!("{}: there is no record", log.display())));
        }
        if self.json {
            print_json(&report)?
        } else {
            print_report(&report)?
        }
        let changed = report.counts.newly_allowed + report.counts.newly_denied;
        match report.has_changes() {
            false => Ok(()),
            true => Err(CliError::failed(format!("{changed} recorded decisions would change"))),
        }
    }

    async fn scope(&self, store: Option<&SqliteStore>) -> Result<Scope, CliError> {
        let key = match (&self.policy, &self.key) {
            (Some(path), Some(key)) => {
                let policy = Arc::new(read_policy(path)?);
                let arn = match store {
                    Some(store) => find_key(store, key).await?.key.arn.to_string(),
                    None if key.starts_with("arn:") => key.clone(),
                    None => return Err(CliError::usage("--key: expected an ARN, since no store is asked")),
                };
                Some((arn, policy))
            }
            _ => None,
        };
        let identity = match &self.principal {
            Some(holder) => Some((holder.clone(), self.identity_policies()?)),
            None => None,
        };
        Ok(Scope { key, identity })
    }

    fn identity_policies(&self) -> Result<Arc<[AttachedPolicy]>, CliError> {
        let attached = self.identity_policy.iter().zip(1..).map(|(path, number)| {
            let name = PolicyName::parse(&format!("tried-{number}")).map_err(CliError::usage)?;
            Ok(AttachedPolicy { name, policy: read_identity_policy(path)? })
        });
        attached.collect::<Result<Vec<_>, CliError>>().map(Into::into)
    }
}

fn print_report(report: &ReplayReport) -> Result<(), CliError> {
    let counts = &report.counts;
    for (count, what) in [
        (counts.records, "records read"),
        (counts.records_without_decision, "of requests about which no policy was asked"),
        (counts.records_not_replayable, "cannot be replayed"),
        (counts.decisions_out_of_scope, "decisions about other keys and principals"),
        (counts.decisions_unchanged, "decisions come out as they did"),
        (counts.newly_denied, "were allowed and would be DENIED"),
        (counts.newly_allowed, "were denied and would be ALLOWED"),
    ] {
        print_line(&format!("{count:>9}  {what}"))?;
    }
    for group in &report.changes {
        print_group(group)?;
    }
    if counts.changes_in_no_group > 0 {
        print_line(&format!("\nand {} more changes of other kinds", counts.changes_in_no_group))?;
    }
    for not in &report.not_replayable {
        print_line(&format!("\ncannot be replayed: {} ({}, first {})", not.reason, not.count, not.first))?;
    }
    Ok(())
}

fn print_group(group: &ChangeGroup) -> Result<(), CliError> {
    let ChangeGroup {
        change,
        image,
        principal,
        action,
        resource,
        because,
        count,
        first_time,
        last_time,
        request_id,
    } = group;
    let becomes = match change {
        Change::NewlyAllowed => "ALLOWED",
        Change::NewlyDenied => "DENIED",
    };
    print_line(&format!("\nwould be {becomes}: {action} of {resource}, {count} times"))?;
    print_line(&format!("  image      {}", image.as_deref().unwrap_or("none: not attested")))?;
    print_line(&format!("  principal  {principal}"))?;
    print_line(&format!("  because    {because}"))?;
    print_line(&format!("  from       {first_time} to {last_time}"))?;
    print_line(&format!("  such as    request {request_id}"))
}

fn parse_holder(text: &str) -> Result<PolicyHolder, String> {
    PolicyHolder::parse(text).map_err(|error| error.to_string())
}
