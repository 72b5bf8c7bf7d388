//! `audit query`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::filter::{Filter, warn_of_unread};
use super::{Output, existing_log};
use crate::audit::record::AuditRecord;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::text::{is_obeyed_by_terminals, shorten};

/// Digits of a PCR0 in a table; as many as tell images apart.
const PCR0_DIGITS: usize = 12;

/// Find records, the oldest first.
///
/// A line each: time, decision, operation, principal, enclave (PCR0 and module id), keys, and why.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(in crate::cli) struct Query {
    /// Print help.
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// The log's newest file; older ones beside it are read first. Default: that of the data directory.
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,

    #[command(flatten)]
    filter: Filter,

    /// Print the records whole, a JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Query {
    pub(in crate::cli) fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let log = existing_log(self.log, data_dir)?;
        let mut output = Output::new();
        let unread = self.filter.for_each(&log, |record| {
            let line = if self.json { record.value().to_string() } else { row(record) };
            output.write(format!("{line}\n").as_bytes())
        })?;
        output.finish()?;
        warn_of_unread(unread);
        Ok(())
    }
}

/// One line for people. What callers have chosen is escaped, so that it stays on its line and moves no cursor.
fn row(record: &AuditRecord) -> String {
    let enclave = match &record.recipient {
        None => "-".to_owned(),
        Some(recipient) => {
            let pcr0 = recipient.pcrs.get(&0).map_or("-", String::as_str);
            format!("{} {}", pcr0.get(..PCR0_DIGITS).unwrap_or(pcr0), recipient.module_id)
        }
    };
    let keys: Vec<&str> =
        record.keys.iter().map(|arn| arn.rsplit_once('/').map_or(arn.as_str(), |(_, id)| id)).collect();
    let keys = if keys.is_empty() { "-".to_owned() } else { keys.join(",") };
    let mut why: Vec<&str> = record.reasons().collect();
    if why.is_empty() {
        why.extend(record.error_message.as_deref());
    }
    let row = format!(
        "{}  {:<9}  {}  {}  {enclave}  {keys}  {}",
        record.time,
        record.outcome.as_str(),
        record.operation,
        record.identity.as_str(),
        shorten(&why.join("; ")),
    );
    row.trim_end().chars().flat_map(escape_control).collect()
}

fn escape_control(character: char) -> Vec<char> {
    if is_obeyed_by_terminals(character) { character.escape_default().collect() } else { vec![character] }
}
