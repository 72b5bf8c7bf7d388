//! `policy rollout`.

use std::path::PathBuf;

use clap::Args;

use super::image::{PolicyOptions, measured};
use crate::cli::error::CliError;
use crate::time::UnixTime;

/// Make the key policy for an update: the new image, and the old one until a time.
///
/// Each image has a statement of its own, so that no enclave gets in with registers of both. Exit status 1 when the two
/// are one image, or the time has passed.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollout {
    /// The old image, or what nitro-cli describe-eif printed of it.
    #[arg(long, value_name = "FILE|JSON")]
    old: PathBuf,

    /// The new image, or what nitro-cli describe-eif printed of it.
    #[arg(long, value_name = "FILE|JSON")]
    new: PathBuf,

    /// When the old image is no longer let in, such as 2027-01-03T20:41:07Z.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    until: UnixTime,

    #[command(flatten)]
    options: PolicyOptions,
}

impl Rollout {
    pub(super) fn run(self) -> Result<(), CliError> {
        self.print(UnixTime::now())
    }

    fn print(&self, now: UnixTime) -> Result<(), CliError> {
        // Conditions see whole seconds.
        let until = UnixTime::from_secs(self.until.as_secs());
        if until <= now {
            return Err(CliError::failed(format!("--until {until} has passed; it is {now}")));
        }
        let (old, new) = (measured(&self.old)?, measured(&self.new)?);
        if old.pcr0 == new.pcr0 {
            let message = format!("{} and {} are one image", self.old.display(), self.new.display());
            return Err(CliError::failed(format!("{message}: both have PCR0 {}", hex::encode(old.pcr0))));
        }
        let statement = |sid, measured, until| self.options.statement.statement(sid, measured, until);
        self.options.print(&[statement("NewImage", &new, None), statement("OldImage", &old, Some(until))])
    }
}
