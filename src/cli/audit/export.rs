//! `audit export`.

mod cloudtrail;
mod csv;
mod ecs;

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::filter::{Filter, warn_of_unread};
use super::{Output, existing_log};
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;

/// Write records in the form that another tool reads.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(in crate::cli) struct Export {
    /// Print help.
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// The log's newest file; older ones beside it are read first. Default: that of the data directory.
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,

    /// The form: cloudtrail (one object with all Records, as CloudTrail's log files), ecs (Elastic Common Schema, a JSON
    /// object a line) or csv (RFC 4180; what a spreadsheet would take for a formula is quoted).
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    format: Format,

    #[command(flatten)]
    filter: Filter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Cloudtrail,
    Ecs,
    Csv,
}

impl Export {
    pub(in crate::cli) fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let log = existing_log(self.log, data_dir)?;
        let mut output = Output::new();
        let unread = match self.format {
            Format::Csv => {
                output.write(csv::header().as_bytes())?;
                self.filter.for_each(&log, |record| output.write(csv::row(record).as_bytes()))?
            }
            Format::Ecs => self
                .filter
                .for_each(&log, |record| output.write(format!("{}\n", ecs::document(record)).as_bytes()))?,
            Format::Cloudtrail => {
                output.write(b"{\"Records\":[")?;
                let mut separator = "";
                let unread = self.filter.for_each(&log, |record| {
                    output.write(format!("{separator}{}", cloudtrail::record(record)).as_bytes())?;
                    separator = ",\n";
                    Ok(())
                })?;
                output.write(b"]}\n")?;
                unread
            }
        };
        output.finish()?;
        warn_of_unread(unread);
        Ok(())
    }
}
