//! `audit verify`, `audit checkpoint`, `audit query`, `audit export`.

mod checkpoint;
mod export;
mod filter;
mod query;
mod verify;

use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::data_dir::{DataDir, read_input};
use super::error::CliError;
use crate::audit::open_key;
use crate::audit::reader::segments;
use crate::signed_note::NoteVerifier;

/// Bytes of a verifier key at most.
const MAX_VERIFIER_KEY_BYTES: u64 = 1024;

/// Check and search the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    Verify(verify::Verify),
    Checkpoint(checkpoint::CheckpointCommand),
    Query(query::Query),
    Export(export::Export),
}

impl AuditCommand {
    pub(super) fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        match self {
            Self::Verify(command) => command.run(data_dir),
            Self::Checkpoint(command) => command.run(data_dir),
            Self::Query(command) => command.run(data_dir),
            Self::Export(command) => command.run(data_dir),
        }
    }
}

/// The log that is named, or that of the data directory; it must have a file.
fn existing_log(named: Option<PathBuf>, data_dir: &DataDir) -> Result<PathBuf, CliError> {
    let path = named.unwrap_or_else(|| data_dir.audit_log());
    let files = segments(&path).map_err(CliError::usage)?;
    if files.is_empty() {
        return Err(CliError::usage(format!("there is no audit log {}", path.display()))
            .hint("name its newest file, or the data directory with --data-dir"));
    }
    Ok(path)
}

/// The verifier key that is given as a text or a file, or that of the data directory's signing key.
fn verifier_key(given: Option<&str>, data_dir: &DataDir) -> Result<NoteVerifier, CliError> {
    let Some(given) = given else {
        let signer = open_key(&data_dir.audit_key()).map_err(|error| {
            CliError::usage(error).hint("pass --verifier-key, which `audit checkpoint --verifier-key` shows")
        })?;
        return Ok(signer.verifier().clone());
    };
    let path = Path::new(given);
    let text = if path.exists() {
        let content = read_input(path, MAX_VERIFIER_KEY_BYTES)?;
        String::from_utf8(content).map_err(|error| CliError::usage(format!("{given}: {error}")))?
    } else {
        given.to_owned()
    };
    NoteVerifier::parse(text.trim())
        .map_err(|error| CliError::usage(format!("{given} is no verifier key: {error}")))
}

/// Standard output for much at a time. A reader that has gone away is no failure.
struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
    is_closed: bool,
}

impl Output {
    fn new() -> Self {
        Self { stdout: BufWriter::new(io::stdout().lock()), is_closed: false }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        if self.is_closed {
            return Ok(());
        }
        let written = self.stdout.write_all(bytes);
        self.take(written)
    }

    fn finish(mut self) -> Result<(), CliError> {
        if self.is_closed {
            return Ok(());
        }
        let flushed = self.stdout.flush();
        self.take(flushed)
    }

    fn take(&mut self, written: io::Result<()>) -> Result<(), CliError> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            written => written.map_err(|error| CliError::failed(format!("standard output: {error}"))),
        }
    }
}
