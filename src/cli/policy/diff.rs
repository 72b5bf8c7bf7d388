//! `policy diff`.

use std::path::PathBuf;

use clap::Args;

use super::read_policy;
use crate::analysis::{MAX_COMBINATIONS, PolicyDifference, RuleChange, policy_difference};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};

/// Say what two key policies decide differently: what becomes allowed or denied, to whom and when.
///
/// Both are asked about every combination of the principals, actions and values that they tell apart. Exit status 0 when
/// they decide alike, 1 when they do not.
#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// The key policy as it is.
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The key policy as it would be.
    #[arg(value_name = "NEW")]
    new: PathBuf,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn run(self) -> Result<(), CliError> {
        let (old, new) = (read_policy(&self.old)?, read_policy(&self.new)?);
        let difference = policy_difference(&old, &new).map_err(CliError::failed)?;
        if self.json {
            print_json(&difference)?
        } else {
            print_difference(&difference)?
        }
        match difference.changes.len() {
            0 => Ok(()),
            _ => Err(CliError::failed("the policies decide differently")),
        }
    }
}

fn print_difference(difference: &PolicyDifference) -> Result<(), CliError> {
    let PolicyDifference { changes, is_bounded, not_varied } = difference;
    if changes.is_empty() {
        print_line("no difference was found")?;
    }
    for (change, number) in changes.iter().zip(1..) {
        if number > 1 {
            print_line("")?;
        }
        print_change(change)?;
    }
    if *is_bounded {
        print_line(&format!(
            "\nNOT COMPLETE: there are more than {MAX_COMBINATIONS} combinations of values; the first were asked about"
        ))?;
    }
    if !not_varied.is_empty() {
        let keys: Vec<&str> = not_varied.iter().map(String::as_str).collect();
        print_line(&format!("\nNOT COMPLETE: no question varied {}", keys.join(", ")))?;
    }
    Ok(())
}

fn print_change(change: &RuleChange) -> Result<(), CliError> {
    let RuleChange { old, new, principals, actions, when, is_exact, witness } = change;
    print_line(&format!("{} becomes {}", old.describe(), new.describe()))?;
    for principal in principals {
        print_line(&format!("  principal  {principal}"))?;
    }
    print_line(&format!("  actions    {}", actions.iter().copied().collect::<Vec<_>>().join(", ")))?;
    for (key, values) in when {
        print_line(&format!("  when       {key} is {}", values.join(", or ")))?;
    }
    if !is_exact {
        print_line("             in some combinations of these")?;
    }
    let with: Vec<String> = witness.values.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let with = if with.is_empty() { String::new() } else { format!(" with {}", with.join(", ")) };
    print_line(&format!("  such as    {} by {}{with}", witness.action, witness.principal))
}
