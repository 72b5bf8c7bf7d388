use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{RootKey, RootKeyError};
use crate::crypto::{AEAD_KEY_LEN, AEAD_NONCE_LEN, AeadKey, CryptoError, fill_random};

/// First line of a root key file.
const FILE_HEADER: &str = "nitro-key-broker root key v1";
/// The header, 44 characters of base64 and two line ends; what is longer is no root key file.
const MAX_FILE_LEN: u64 = 128;
const VERSION_1: u8 = 1;

/// A root key of 256 random bits in a file that only its owner can read.
///
/// A wrapped form is `01 ‖ nonce, 12 bytes ‖ AES-256-GCM ciphertext ‖ tag` with the context as associated data. Nonces
/// are random: a store would have to wrap 2^32 times to come near the bound of SP 800-38D section 8.3.
pub struct FileRootKey {
    key: AeadKey,
}

/// Why there is no root key to work with.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyFileError {
    /// The file cannot be read or made.
    #[error("root key file {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("root key file {} has mode {mode:04o}, expected 0600: others can read or replace it", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} is not a root key file of this broker", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl FileRootKey {
    /// Makes a new root key file with mode 0600; an existing file is never overwritten.
    ///
    /// # Errors
    /// When the file exists or cannot be made durable.
    pub fn create(path: &Path) -> Result<Self, RootKeyFileError> {
        let mut key = Zeroizing::new([0; AEAD_KEY_LEN]);
        fill_random(&mut *key)?;
        let encoded = Zeroizing::new(STANDARD.encode(*key));
        let text = Zeroizing::new(format!("{FILE_HEADER}\n{}\n", *encoded));
        write_private_file(path, text.as_bytes())
            .map_err(|error| RootKeyFileError::Io { path: path.to_owned(), error })?;
        Ok(Self { key: AeadKey::new(&key)? })
    }

    /// Reads a root key file.
    ///
    /// # Errors
    /// When it is no regular file of the form that [`FileRootKey::create`] writes, or its mode lets others at it.
    pub fn open(path: &Path) -> Result<Self, RootKeyFileError> {
        let io_error = |error| RootKeyFileError::Io { path: path.to_owned(), error };
        let format_error = || RootKeyFileError::Format { path: path.to_owned() };
        let mut file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_LEN {
            return Err(format_error());
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RootKeyFileError::Mode { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(128));
        file.read_to_string(&mut text).map_err(io_error)?;
        let encoded = text
            .strip_prefix(FILE_HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .and_then(|rest| rest.strip_suffix('\n'))
            .ok_or_else(format_error)?;
        let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| format_error())?);
        let key: &[u8; AEAD_KEY_LEN] = decoded.as_slice().try_into().map_err(|_| format_error())?;
        Ok(Self { key: AeadKey::new(key)? })
    }
}

#[async_trait]
impl RootKey for FileRootKey {
    async fn wrap(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, RootKeyError> {
        let mut nonce = [0; AEAD_NONCE_LEN];
        fill_random(&mut nonce)?;
        let ciphertext = self.key.seal(&nonce, context, plaintext)?;
        Ok([&[VERSION_1][..], &nonce, &ciphertext].concat())
    }

    async fn unwrap_key(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
        let Some((&VERSION_1, rest)) = wrapped.split_first() else { return Err(RootKeyError::Unwrap) };
        let (nonce, ciphertext) = rest.split_first_chunk::<AEAD_NONCE_LEN>().ok_or(RootKeyError::Unwrap)?;
        self.key.open(nonce, context, ciphertext).map_err(|CryptoError| RootKeyError::Unwrap)
    }
}

/// Writes a new file that only its owner can read, and makes file and directory entry durable.
///
/// # Errors
/// When the file exists already, or the system refuses.
pub(crate) fn write_private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_one_file_wraps_no_other_unwraps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        let wrapped = FileRootKey::create(&path).unwrap().wrap(b"context", b"material").await.unwrap();
        let reopened = FileRootKey::open(&path).unwrap();
        assert_eq!(**reopened.unwrap_key(b"context", &wrapped).await.unwrap(), *b"material");
        assert_eq!(reopened.unwrap_key(b"other", &wrapped).await.unwrap_err(), RootKeyError::Unwrap);
        let other = FileRootKey::create(&directory.path().join("other.key")).unwrap();
        assert_eq!(other.unwrap_key(b"context", &wrapped).await.unwrap_err(), RootKeyError::Unwrap);
        for length in 0..wrapped.len() {
            assert!(reopened.unwrap_key(b"context", &wrapped[..length]).await.is_err());
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_none_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        FileRootKey::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(matches!(FileRootKey::create(&path), Err(RootKeyFileError::Io { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(FileRootKey::open(&path), Err(RootKeyFileError::Mode { mode: 0o640, .. })));
        std::fs::write(&path, "something else").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(FileRootKey::open(&path), Err(RootKeyFileError::Format { .. })));
    }
}
