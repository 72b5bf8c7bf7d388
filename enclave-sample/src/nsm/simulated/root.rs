//! The development root: a self-signed certificate and its key, kept in two files.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::ParsedCertificate;
use thiserror::Error;
use zeroize::Zeroizing;

use super::SimulatedNsmError;
use super::chain::{self, ROOT_VALIDITY, Validity};

/// The certificate's file name in the root's directory: what the broker is told to trust.
pub const ROOT_CERTIFICATE_FILE: &str = "root.pem";

/// The private key's file name in the root's directory, mode 0600.
pub const ROOT_KEY_FILE: &str = "root.key.pem";

/// A PEM file of one P-384 certificate or key is under 1 KiB; a longer file is something else.
const MAX_PEM_BYTES: u64 = 8 * 1024;

/// A trust anchor for simulated documents, in the place of the AWS Nitro Enclaves root.
pub struct DevelopmentRoot {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl DevelopmentRoot {
    /// Makes a new root, valid from `valid_from` for thirty years.
    ///
    /// # Errors
    /// When the moment cannot be written in a certificate, or the key cannot be made.
    pub fn generate(valid_from: SystemTime) -> Result<Self, SimulatedNsmError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let validity = Validity::starting(valid_from, ROOT_VALIDITY)?;
        let certificate = chain::root_certificate(&key, validity)?;
        Ok(Self { certificate, key })
    }

    /// Reads the root that [`save`](Self::save) wrote into `directory`.
    ///
    /// # Errors
    /// When a file is missing or not what it should be, when others than the owner may read the key, or when key and
    /// certificate do not belong together.
    pub fn load(directory: &Path) -> Result<Self, DevelopmentRootError> {
        let certificate_path = directory.join(ROOT_CERTIFICATE_FILE);
        let key_path = directory.join(ROOT_KEY_FILE);
        let certificate = CertificateDer::from_pem_slice(read_bounded(&certificate_path)?.as_bytes())
            .map_err(|_| DevelopmentRootError::Malformed { path: certificate_path.clone() })?;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&read_private(&key_path)?, &PKCS_ECDSA_P384_SHA384)
            .map_err(|_| DevelopmentRootError::Malformed { path: key_path })?;
        let parsed = ParsedCertificate::try_from(&certificate)
            .map_err(|_| DevelopmentRootError::Malformed { path: certificate_path })?;
        if parsed.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(DevelopmentRootError::KeyMismatch { directory: directory.to_owned() });
        }
        Ok(Self { certificate, key })
    }

    /// Writes certificate and key into `directory`, which is created when absent. Nothing is overwritten.
    ///
    /// # Errors
    /// When one of the two files exists or cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), DevelopmentRootError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| DevelopmentRootError::Write { path: directory.to_owned(), source })?;
        let key_pem = Zeroizing::new(self.key.serialize_pem());
        // The key first: a directory with a certificate is then always complete.
        write_new(&directory.join(ROOT_KEY_FILE), &key_pem, 0o600)?;
        write_new(&directory.join(ROOT_CERTIFICATE_FILE), &self.certificate_pem(), 0o644)
    }

    /// The certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        chain::certificate_pem(&self.certificate)
    }

    pub(super) fn key(&self) -> &KeyPair {
        &self.key
    }
}

/// The certificate alone.
impl fmt::Debug for DevelopmentRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentRoot").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn read_bounded(path: &Path) -> Result<Zeroizing<String>, DevelopmentRootError> {
    let read = || -> io::Result<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::new());
        File::open(path)?.take(MAX_PEM_BYTES).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| DevelopmentRootError::Read { path: path.to_owned(), source })
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, DevelopmentRootError> {
    let metadata =
        fs::metadata(path).map_err(|source| DevelopmentRootError::Read { path: path.to_owned(), source })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DevelopmentRootError::KeyExposed { path: path.to_owned(), mode });
    }
    read_bounded(path)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), DevelopmentRootError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => DevelopmentRootError::Exists { path: path.to_owned() },
        _ => DevelopmentRootError::Write { path: path.to_owned(), source },
    })
}

/// Why a development root could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DevelopmentRootError {
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
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a root already.
    #[error("{} exists and is not overwritten", path.display())]
    Exists {
        /// The file that exists.
        path: PathBuf,
    },
    /// A file does not hold the PEM object it should.
    #[error("{} does not hold a P-384 certificate or PKCS#8 key in PEM", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner have access to the private key.
    #[error("{} has mode {mode:04o}: others than its owner have access", path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The certificate is for another key.
    #[error("certificate and key in {} do not belong together", directory.display())]
    KeyMismatch {
        /// The root's directory.
        directory: PathBuf,
    },
    /// A root could not be made.
    #[error(transparent)]
    Mint(#[from] SimulatedNsmError),
}

impl DevelopmentRootError {
    /// What the reader of the message can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("make a root with `enclave-sample development-root DIR`")
            }
            Self::KeyExposed { .. } => Some("chmod 600 the key file"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn loads_what_it_saved_and_never_overwrites() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("root");
        let root = DevelopmentRoot::generate(SystemTime::now()).unwrap();
        root.save(&directory).unwrap();
        assert_eq!(fs::metadata(directory.join(ROOT_KEY_FILE)).unwrap().mode() & 0o777, 0o600);

        let loaded = DevelopmentRoot::load(&directory).unwrap();
        assert_eq!(loaded.certificate_der(), root.certificate_der());
        assert_eq!(loaded.key.serialized_der(), root.key.serialized_der());

        let before = fs::read(directory.join(ROOT_KEY_FILE)).unwrap();
        let error = DevelopmentRoot::generate(SystemTime::now()).unwrap().save(&directory).unwrap_err();
        assert!(matches!(error, DevelopmentRootError::Exists { .. }), "{error}");
        assert_eq!(fs::read(directory.join(ROOT_KEY_FILE)).unwrap(), before);
    }

    #[test]
    fn refuses_an_exposed_key_and_a_foreign_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let root = DevelopmentRoot::generate(SystemTime::now()).unwrap();
        root.save(directory.path()).unwrap();

        let key_path = directory.path().join(ROOT_KEY_FILE);
        fs::set_permissions(&key_path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = DevelopmentRoot::load(directory.path()).unwrap_err();
        assert!(matches!(error, DevelopmentRootError::KeyExposed { mode: 0o640, .. }), "{error}");
        fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)).unwrap();

        let other = DevelopmentRoot::generate(SystemTime::now()).unwrap();
        fs::write(directory.path().join(ROOT_CERTIFICATE_FILE), other.certificate_pem()).unwrap();
        let error = DevelopmentRoot::load(directory.path()).unwrap_err();
        assert!(matches!(error, DevelopmentRootError::KeyMismatch { .. }), "{error}");
    }

    #[test]
    fn debug_shows_no_private_key() {
        let root = DevelopmentRoot::generate(SystemTime::now()).unwrap();
        let shown = format!("{root:?}");
        assert!(shown.starts_with("DevelopmentRoot { certificate: CertificateDer("), "{shown}");
        assert!(shown.ends_with("), .. }"), "{shown}");
        // The scalar follows `version 1, OCTET STRING of 48 bytes` (RFC 5915).
        let key = hex::encode(root.key.serialized_der());
        let (_, scalar) = key.split_once("0201010430").unwrap();
        assert!(!shown.contains(&scalar[..96]));
    }
}
