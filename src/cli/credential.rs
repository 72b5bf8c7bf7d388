//! `credential create`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::data_dir::DataDir;
use super::error::CliError;
use super::output::{print_json, print_line};
use crate::crypto::{fill_random, sha256};
use crate::policy::PrincipalArn;
use crate::root_key::RootKey;
use crate::store::{Credential, CredentialStore, credential_wrapping_context};
use crate::time::UnixTime;

/// Base32 of RFC 4648 section 6, in which AWS writes access key ids.
const ACCESS_KEY_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// As long as STS allows at most for a role session: 12 hours.
const MAX_SESSION_SECONDS: u64 = 43_200;

/// Issue access keys, which callers sign their requests with.
#[derive(Debug, Subcommand)]
pub(super) enum CredentialCommand {
    Create(Create),
}

/// Issue an access key for a principal and print it, this once.
///
/// The secret is kept under the root key and is not shown again.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Whom requests signed with it come from, such as arn:aws:iam::000000000000:role/enclave-parent.
    #[arg(long, value_name = "ARN")]
    principal: String,

    /// Issue it with a session token, valid for this many seconds (900 to 43200).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(900..=MAX_SESSION_SECONDS))]
    session_seconds: Option<u64>,

    /// Print JSON in the shape of STS Credentials.
    #[arg(long)]
    json: bool,
}

impl CredentialCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let CredentialCommand::Create(create) = self;
        create.run(data_dir).await
    }
}

impl Create {
    async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let principal = PrincipalArn::parse(&self.principal)
            .map_err(|error| CliError::usage(format!("--principal: {error}")))?;
        let now = UnixTime::now();
        let expires_at = self.session_seconds.map(|seconds| now.saturating_add(Duration::from_secs(seconds)));
        let access_key_id = new_access_key_id(expires_at.is_some())?;
        let secret = random_base64::<30>()?;
        let session_token = expires_at.map(|_| random_base64::<96>()).transpose()?;
        let store = data_dir.open_store().await?;
        let context = credential_wrapping_context(&access_key_id, &principal);
        let credential = Credential {
            wrapped_secret: data_dir
                .open_root_key()?
                .wrap(&context, secret.as_bytes())
                .await
                .map_err(CliError::failed)?,
            access_key_id,
            principal,
            session_token_sha256: session_token.as_ref().map(|token| sha256(&[token.as_bytes()])),
            created_at: now,
            expires_at,
        };
        store.insert_credential(&credential).await.map_err(CliError::failed)?;
        if self.json {
            print_json(&json!({
                "AccessKeyId": credential.access_key_id,
                "SecretAccessKey": *secret,
                "SessionToken": session_token.as_ref().map(|token| token.as_str()),
                "Expiration": expires_at.map(|time| time.to_string()),
            }))
        } else {
            print_line(&format!("export AWS_ACCESS_KEY_ID={}", credential.access_key_id))?;
            print_line(&Zeroizing::new(format!("export AWS_SECRET_ACCESS_KEY={}", *secret)))?;
            match session_token {
                Some(token) => print_line(&Zeroizing::new(format!("export AWS_SESSION_TOKEN={}", *token))),
                None => Ok(()),
            }
        }
    }
}

/// `AKIA`, or `ASIA` with a session, and 16 characters of base32: 80 random bits.
fn new_access_key_id(session: bool) -> Result<String, CliError> {
    let mut random = [0; 16];
    fill_random(&mut random).map_err(CliError::failed)?;
    let prefix = if session { "ASIA" } else { "AKIA" };
    let characters = random.iter().filter_map(|byte| ACCESS_KEY_ALPHABET.get(usize::from(byte % 32)));
    Ok(prefix.chars().chain(characters.map(|character| char::from(*character))).collect())
}

fn random_base64<const LEN: usize>() -> Result<Zeroizing<String>, CliError> {
    let mut random = Zeroizing::new([0; LEN]);
    fill_random(&mut *random).map_err(CliError::failed)?;
    Ok(Zeroizing::new(STANDARD.encode(*random)))
}
