//! kmstool-enclave-cli, AWS's tool for applications that ask KMS by starting a program: its commands, flags and output.
//!
//! It runs as `enclave-sample kmstool-enclave-cli …`, and under its own name, `kmstool_enclave_cli`, so that a link in
//! the image takes its place. What the original has no flags for comes from the environment: how the broker is known
//! (`ENCLAVE_SAMPLE_CA`, `ENCLAVE_SAMPLE_KEY_PIN`, `ENCLAVE_SAMPLE_SERVER_NAME`) and where else it may be
//! (`ENCLAVE_SAMPLE_ENDPOINT`).

use std::ffi::OsString;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Parser, Subcommand};
use enclave_sample::client::{
    BrokerClient, Credentials, DataKeyLength, Decrypt, EncryptionContext, Endpoint, GenerateDataKey,
};
use zeroize::Zeroizing;

use super::connection_options::ConnectionOptions;
use super::failure::Failure;
use super::nsm_options::NsmOptions;
use super::output::print;

/// The name that the original's build gives it.
pub(super) const PROGRAM_NAME: &str = "kmstool_enclave_cli";

/// The subcommand by which `enclave-sample` is it.
pub(super) const COMMAND_NAME: &str = "kmstool-enclave-cli";

/// The parent instance, as every enclave sees it.
const PARENT_CID: u32 = 3;

/// kmstool-enclave-cli's commands: ask for keys and random bytes with an attestation document.
#[derive(Debug, Parser)]
#[command(name = PROGRAM_NAME, version)]
struct Kmstool {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(flatten)]
    nsm: NsmOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Decrypt a ciphertext blob
    Decrypt {
        #[command(flatten)]
        service: Service,

        /// The ciphertext in base64
        #[arg(short = 'c', long)]
        ciphertext: String,

        /// The key that must have made it
        #[arg(short = 'K', long)]
        key_id: Option<String>,

        /// The algorithm that made it
        #[arg(short = 'a', long)]
        encryption_algorithm: Option<String>,

        /// A pair it was bound to; repeatable
        #[arg(short = 'e', long, value_name = "NAME=VALUE", value_parser = parse_pair)]
        encryption_context: Vec<(String, String)>,
    },
    /// Generate a data key
    Genkey {
        #[command(flatten)]
        service: Service,

        /// The key to seal it under
        #[arg(short = 'K', long)]
        key_id: String,

        /// The kind of key
        #[arg(short = 'p', long, value_parser = parse_key_spec, value_name = "AES-256|AES-128")]
        key_spec: DataKeyLength,

        /// A pair to bind it to; repeatable
        #[arg(short = 'e', long, value_name = "NAME=VALUE", value_parser = parse_pair)]
        encryption_context: Vec<(String, String)>,
    },
    /// Generate random bytes
    Genrandom {
        #[command(flatten)]
        service: Service,

        /// How many bytes
        #[arg(short = 'l', long)]
        length: u32,
    },
}

/// Where KMS is, and as whom it is asked.
#[derive(Args, Debug)]
struct Service {
    /// The region of KMS
    #[arg(short = 'r', long, default_value = "us-east-1")]
    region: String,

    /// The vsock port on the parent instance
    #[arg(short = 'x', long, value_name = "PORT", default_value_t = 8000)]
    proxy_port: u32,

    /// Access key id
    #[arg(short = 'k', long)]
    aws_access_key_id: String,

    /// Secret access key
    #[arg(short = 's', long)]
    aws_secret_access_key: Secret,

    /// Session token
    #[arg(short = 't', long)]
    aws_session_token: Option<Secret>,
}

/// A flag's value that is not shown.
#[derive(Clone)]
struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Runs it with these arguments, its name first. Every failure has status 1, as with the original.
pub(super) fn main_with(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let kmstool = match Kmstool::try_parse_from(arguments) {
        Ok(kmstool) => kmstool,
        Err(error) => {
            // To stderr, or to stdout if it is the help; when nobody listens, there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match super::in_runtime(run(kmstool)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::FAILURE
        }
    }
}

async fn run(kmstool: Kmstool) -> Result<(), Failure> {
    let Kmstool { connection, nsm, command } = kmstool;
    let client = |service: Service| service.client(&connection, &nsm);
    let mut output = Zeroizing::new(String::with_capacity(16 * 1024));
    let mut line = |name: &str, bytes: &[u8]| {
        let text = Zeroizing::new(BASE64.encode(bytes));
        for part in [name, ": ", &text, "\n"] {
            output.push_str(part);
        }
    };
    match command {
        Command::Decrypt { service, ciphertext, key_id, encryption_algorithm, encryption_context } => {
            let ciphertext =
                BASE64.decode(ciphertext.trim()).map_err(|_| Failure::usage("--ciphertext is not base64"))?;
            let request = Decrypt {
                key_id,
                encryption_algorithm,
                encryption_context: EncryptionContext::from_iter(encryption_context),
                ..Decrypt::blob(ciphertext)
            };
            let decrypted = client(service)?.decrypt(&request).await?;
            line("PLAINTEXT", &decrypted.plaintext);
        }
        Command::Genkey { service, key_id, key_spec, encryption_context } => {
            let request = GenerateDataKey {
                length: key_spec,
                encryption_context: EncryptionContext::from_iter(encryption_context),
                ..GenerateDataKey::aes_256(key_id)
            };
            let data_key = client(service)?.generate_data_key(&request).await?;
            line("CIPHERTEXT", &data_key.ciphertext_blob);
            line("PLAINTEXT", &data_key.plaintext);
        }
        Command::Genrandom { service, length } => {
            let bytes = client(service)?.generate_random(length).await?;
            line("PLAINTEXT", &bytes);
        }
    }
    print(output.as_bytes())
}

impl Service {
    fn client(self, connection: &ConnectionOptions, nsm: &NsmOptions) -> Result<BrokerClient, Failure> {
        let Self { region, proxy_port, aws_access_key_id, aws_secret_access_key, aws_session_token } = self;
        let mut credentials =
            Credentials::new(aws_access_key_id, aws_secret_access_key.0.as_str(), region.as_str());
        if let Some(token) = aws_session_token {
            credentials = credentials.with_session_token(token.0.as_str());
        }
        let endpoint = Endpoint::Vsock { cid: PARENT_CID, port: proxy_port };
        connection.client_with_defaults(endpoint, &kms_host(&region), nsm, Some(credentials.into()))
    }
}

/// The name of KMS in a region, which its certificate carries.
fn kms_host(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("kms.{region}.amazonaws.com{suffix}")
}

fn parse_key_spec(text: &str) -> Result<DataKeyLength, String> {
    match text {
        "AES-256" | "AES_256" => Ok(DataKeyLength::Aes256),
        "AES-128" | "AES_128" => Ok(DataKeyLength::Aes128),
        _ => Err("expected AES-256 or AES-128".to_owned()),
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Kmstool::command().debug_assert();
    }

    #[test]
    fn regions_have_their_hosts() {
        assert_eq!(kms_host("eu-west-1"), "kms.eu-west-1.amazonaws.com");
        assert_eq!(kms_host("cn-north-1"), "kms.cn-north-1.amazonaws.com.cn");
    }
}
