//! Why a file was not sealed or opened.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file was not sealed or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The output exists.
    #[error("{} exists and is not overwritten", path.display())]
    Exists {
        /// The output file.
        path: PathBuf,
    },
    /// A sealed file of another format, or none.
    #[error("{} is not a file sealed by enclave-sample", path.display())]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// A format version of the future.
    #[error("{} has format version {version}, this program knows version 1", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u8,
    },
    /// A header field that cannot be so.
    #[error("the header's {field}: {problem}")]
    Header {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A data key of another length.
    #[error("the data key has {actual} bytes, sealing takes {expected}")]
    DataKeyLength {
        /// The bytes of an AES-256 key.
        expected: usize,
        /// The bytes given.
        actual: usize,
    },
    /// A chunk that is not authentic.
    #[error(
        "chunk {number} is not authentic: the file was altered or cut off, or the data key is another one"
    )]
    Altered {
        /// The chunk's number, from 0.
        number: u32,
    },
    /// More chunks than a nonce can count: 256 TiB.
    #[error("the file is too long to be sealed")]
    TooLong,
    /// No random bytes, or the cipher failed to seal.
    #[error("the cryptographic module failed")]
    Cryptography,
}

impl EnvelopeError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    /// What the reader of the message can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exists { .. } => Some("choose another name with --output, or give --force"),
            Self::Altered { .. } => {
                Some("nothing was written; fetch the sealed file again from where it is kept")
            }
            _ => None,
        }
    }
}
