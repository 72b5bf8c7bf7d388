//! Where the credentials of a request come from.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::sigv4::Credentials;

/// Session tokens come to some 2 KiB.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// Credentials, or the file that holds those of the moment.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// The same for all requests.
    Fixed(Credentials),
    /// A file that is read for each attempt, since a role's credentials expire: JSON with `AccessKeyId`,
    /// `SecretAccessKey` and `SessionToken`, as a `credential_process` of the AWS CLI prints it, or `Token`, as instance
    /// metadata have it. Whoever renews it puts a new file in its place in one step (rename).
    File {
        /// The file.
        path: PathBuf,
        /// The region that they are used in.
        region: String,
    },
}

impl CredentialSource {
    /// The credentials of the moment.
    pub(super) fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::File { path, region } => read(path, region),
        }
    }
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}

/// Why a file gave no credentials.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("cannot read the credentials in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else. What it holds is not shown.
    #[error("{} is no JSON with AccessKeyId and SecretAccessKey", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
}

fn read(path: &Path, region: &str) -> Result<Credentials, CredentialsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Contents {
        access_key_id: String,
        secret_access_key: String,
        #[serde(alias = "Token")]
        session_token: Option<String>,
    }
    // With room for all of it, so that no copy is left behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES));
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES as u64).read_to_end(&mut text))
        .map_err(|source| CredentialsError::Read { path: path.to_owned(), source })?;
    let Contents { access_key_id, secret_access_key, session_token } =
        serde_json::from_slice(&text).map_err(|_| CredentialsError::Format { path: path.to_owned() })?;
    let credentials = Credentials::new(access_key_id, secret_access_key, region);
    Ok(match session_token.filter(|token| !token.is_empty()) {
        Some(token) => credentials.with_session_token(token),
        None => credentials,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_file_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = CredentialSource::File { path: file.path().to_owned(), region: "eu-west-1".to_owned() };
        for text in [
            r#"{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"s","SessionToken":"t","Expiration":"…"}"#,
            r#"{"Code":"Success","AccessKeyId":"AK","SecretAccessKey":"s","Token":"t"}"#,
            r#"{"AccessKeyId":"AK","SecretAccessKey":"s"}"#,
        ] {
            std::fs::write(file.path(), text).unwrap();
            let shown = format!("{:?}", source.credentials().unwrap());
            assert_eq!(shown, r#"Credentials { access_key_id: "AK", region: "eu-west-1", .. }"#);
        }
    }

    #[test]
    fn what_is_none_is_named_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"SecretAccessKey":"secret"}"#).unwrap();
        let error = read(file.path(), "us-east-1").unwrap_err();
        let expected = format!("{} is no JSON with AccessKeyId and SecretAccessKey", file.path().display());
        assert_eq!(error.to_string(), expected);
        let error = read(Path::new("/nonexistent/credentials"), "us-east-1").unwrap_err();
        assert!(matches!(error, CredentialsError::Read { .. }), "{error}");
    }
}
