use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::keys::{KeyIdentifier, Realm};
use crate::root_key::FileRootKey;
use crate::store::{KeyEntry, SqliteStore, Store, StoreError};

/// The names of what lies in the data directory.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
}

impl DataDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn root_key(&self) -> PathBuf {
        self.path.join("root.key")
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join("keys.sqlite3")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }

    /// The key that signs checkpoints of the audit log.
    pub(super) fn audit_key(&self) -> PathBuf {
        self.path.join("audit.key")
    }

    pub(super) fn tls(&self) -> PathBuf {
        self.path.join("tls")
    }

    pub(super) fn tls_ca(&self) -> PathBuf {
        self.tls().join("ca.pem")
    }

    pub(super) fn tls_certificate(&self) -> PathBuf {
        self.tls().join("server.pem")
    }

    pub(super) fn tls_key(&self) -> PathBuf {
        self.tls().join("server.key")
    }

    pub(super) async fn open_store(&self) -> Result<SqliteStore, CliError> {
        SqliteStore::open(&self.store()).await.map_err(|error| {
            let missing = matches!(error, StoreError::Missing(_));
            let error = CliError::failed(error);
            if missing {
                error.hint("make one with `nitro-key-broker init`, or name another directory with --data-dir")
            } else {
                error
            }
        })
    }

    pub(super) fn open_root_key(&self) -> Result<FileRootKey, CliError> {
        FileRootKey::open(&self.root_key()).map_err(CliError::failed)
    }
}

/// The key that a text names in one of the four forms.
pub(super) async fn find_key(store: &dyn Store, text: &str) -> Result<std::sync::Arc<KeyEntry>, CliError> {
    let realm: Realm = store.realm().await.map_err(CliError::failed)?;
    let identifier = KeyIdentifier::parse(text, &realm).map_err(CliError::usage)?;
    let found = store.find_key(&identifier).await.map_err(CliError::failed)?;
    found.ok_or_else(|| {
        CliError::failed(format!("there is no key {text}")).hint("`nitro-key-broker key list` shows all")
    })
}

/// The content of a file, or of standard input for `-`; of `limit` bytes at most.
pub(super) fn read_input(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut content)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut content))
    };
    read.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    if content.len() as u64 > limit {
        return Err(CliError::usage(format!("{} is longer than {limit} bytes", path.display())));
    }
    Ok(content)
}
