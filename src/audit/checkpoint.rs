//! Signed checkpoints of the log, and the key that signs them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::chain::ChainHead;
use crate::root_key::write_private_file;
use crate::signed_note::{Checkpoint, MAX_NOTE_BYTES, NoteKeyError, NoteSigner};

/// Names of logs begin so; a random part follows.
const LOG_NAME_START: &str = "nitro-key-broker/audit/";
/// Bytes of a key file at most: the name, and 44 characters of base64 beside.
const MAX_KEY_FILE_BYTES: u64 = 512;

/// Why there is no key to sign checkpoints with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointKeyError {
    /// The file cannot be read or made.
    #[error("audit key file {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("audit key file {} has mode {mode:04o}, expected 0600: others can sign in the broker's name", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} is no audit key file: {error}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: NoteKeyError,
    },
}

/// A new random name for a log, which is also the name of its key and the origin of its checkpoints.
pub(super) fn new_log_name() -> String {
    format!("{LOG_NAME_START}{}", hex::encode(rand::random::<[u8; 16]>()))
}

/// Makes a new key file with mode 0600; an existing file is never overwritten.
///
/// # Errors
/// When the file exists or cannot be made durable.
pub fn create_key(path: &Path) -> Result<NoteSigner, CheckpointKeyError> {
    let generated = NoteSigner::generate(&new_log_name());
    let (signer, text) =
        generated.map_err(|error| CheckpointKeyError::Format { path: path.to_owned(), error })?;
    let line = Zeroizing::new(format!("{}\n", *text));
    write_private_file(path, line.as_bytes())
        .map_err(|error| CheckpointKeyError::Io { path: path.to_owned(), error })?;
    Ok(signer)
}

/// Reads a key file.
///
/// # Errors
/// When it is no regular file of the form that [`create_key`] writes, or its mode lets others at it.
pub fn open_key(path: &Path) -> Result<NoteSigner, CheckpointKeyError> {
    let io_error = |error| CheckpointKeyError::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(io_error)?;
    let mode = file.metadata().map_err(io_error)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CheckpointKeyError::Mode { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES as usize));
    file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text).map_err(io_error)?;
    NoteSigner::parse(text.trim_end_matches('\n'))
        .map_err(|error| CheckpointKeyError::Format { path: path.to_owned(), error })
}

/// Where the newest checkpoint of the log at `path` lies: beside it, `audit.checkpoint`.
pub fn checkpoint_path(log: &Path) -> PathBuf {
    log.with_extension("checkpoint")
}

/// The newest checkpoint of the log at `path`, as a signed note; `None` where there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_checkpoint(log: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut note = Vec::new();
    match File::open(checkpoint_path(log)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(file) => {
            file.take(MAX_NOTE_BYTES as u64 + 1).read_to_end(&mut note)?;
            Ok(Some(note))
        }
    }
}

/// Signs where the chain ends, and leaves it beside the log.
pub(super) struct Notary {
    signer: NoteSigner,
    path: PathBuf,
    signed_size: u64,
}

impl Notary {
    pub(super) fn new(signer: NoteSigner, log: &Path, signed_size: u64) -> Self {
        Self { signer, path: checkpoint_path(log), signed_size }
    }

    /// Records since the last checkpoint.
    pub(super) fn unsigned(&self, head: &ChainHead) -> u64 {
        head.next_sequence().saturating_sub(self.signed_size)
    }

    /// Writes a checkpoint that replaces the one before at once. Its records are durable; that it is not at once costs no
    /// more than the next one.
    pub(super) fn sign(&mut self, head: &ChainHead) -> io::Result<()> {
        let checkpoint =
            Checkpoint { origin: head.log.clone(), size: head.next_sequence(), root: head.tree.root() };
        let note = self.signer.sign(&checkpoint.to_text()).map_err(io::Error::other)?;
        let new = self.path.with_extension("checkpoint.new");
        let options = File::options().write(true).create(true).truncate(true).mode(0o644).open(&new);
        options?.write_all(note.as_bytes())?;
        std::fs::rename(&new, &self.path)?;
        self.signed_size = checkpoint.size;
        Ok(())
    }
}
