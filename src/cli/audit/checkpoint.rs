//! `audit checkpoint`.

use std::path::PathBuf;

use clap::Args;

use super::verifier_key;
use crate::audit::{checkpoint_path, read_checkpoint};
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::print_line;

/// Print the newest signed checkpoint, for others to keep.
///
/// Whoever keeps one can tell later whether a record under it was changed or cut off. It is a signed note as C2SP
/// specifies (c2sp.org/tlog-checkpoint).
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckpointCommand {
    /// The log's newest file. Default: that of the data directory.
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,

    /// Print the key that verifies checkpoints instead.
    #[arg(long, conflicts_with = "log")]
    verifier_key: bool,
}

impl CheckpointCommand {
    pub(in crate::cli) fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        if self.verifier_key {
            return print_line(&verifier_key(None, data_dir)?.to_string());
        }
        let log = self.log.unwrap_or_else(|| data_dir.audit_log());
        let path = checkpoint_path(&log);
        let note = read_checkpoint(&log)
            .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?
            .ok_or_else(|| {
                CliError::failed(format!("there is no checkpoint {}", path.display()))
                    .hint("`serve` signs one every 1,000 records or 10 seconds, and when it stops")
            })?;
        let note = String::from_utf8(note)
            .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
        print_line(note.trim_end_matches('\n'))
    }
}
