//! A file that appears under its name only when it is complete.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;

use super::error::EnvelopeError;

/// Whether an existing output is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// An existing output is an error.
    Refuse,
    /// An existing output is replaced at the end, in one step.
    Replace,
}

/// A temporary file beside the output, mode 0600, removed on drop unless published.
pub(super) struct PendingFile<'a> {
    output: &'a Path,
    overwrite: Overwrite,
    temporary: PathBuf,
    file: File,
}

impl<'a> PendingFile<'a> {
    pub(super) fn create(output: &'a Path, overwrite: Overwrite) -> Result<Self, EnvelopeError> {
        // Asked again at the end, where it counts; here it saves the work.
        if overwrite == Overwrite::Refuse && fs::symlink_metadata(output).is_ok() {
            return Err(EnvelopeError::Exists { path: output.to_owned() });
        }
        let mut suffix = [0; 8];
        rand::fill(&mut suffix).map_err(|_| EnvelopeError::Cryptography)?;
        let Some(name) = output.file_name() else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
            return Err(EnvelopeError::write(output, source));
        };
        let mut temporary_name = OsString::from(".");
        temporary_name.push(name);
        temporary_name.push(format!(".{}.tmp", hex::encode(suffix)));
        let temporary = output.with_file_name(temporary_name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|source| EnvelopeError::write(&temporary, source))?;
        Ok(Self { output, overwrite, temporary, file })
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), EnvelopeError> {
        self.file.write_all(bytes).map_err(|source| EnvelopeError::write(&self.temporary, source))
    }

    /// Gives the file its name, after its contents have reached the disk.
    pub(super) fn publish(self) -> Result<(), EnvelopeError> {
        let named = self.file.sync_all().and_then(|()| match self.overwrite {
            Overwrite::Replace => fs::rename(&self.temporary, self.output),
            // Unlike a rename, a link fails when the name is taken; the drop removes the temporary name.
            Overwrite::Refuse => fs::hard_link(&self.temporary, self.output),
        });
        named.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => EnvelopeError::Exists { path: self.output.to_owned() },
            _ => EnvelopeError::write(self.output, source),
        })
    }
}

impl Drop for PendingFile<'_> {
    fn drop(&mut self) {
        // Absent after a rename; otherwise there is nobody left to tell that it could not be removed.
        let _ = fs::remove_file(&self.temporary);
    }
}
