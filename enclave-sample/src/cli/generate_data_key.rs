//! `enclave-sample generate-data-key`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, ValueEnum};
use enclave_sample::client::{BrokerClient, ClientError, DataKeyLength, GenerateDataKey};
use serde::Serialize;

use super::failure::Failure;
use super::output::{print_json, secret_base64};
use super::parameters::{ContextArgument, parse_context};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Key id, key ARN, alias/NAME or alias ARN
    #[arg(long)]
    key_id: String,

    #[command(flatten)]
    length: Length,

    /// Pairs to bind the key to: k=v,k2=v2 or a JSON object
    #[arg(long, value_name = "PAIRS", value_parser = parse_context)]
    encryption_context: Option<ContextArgument>,

    /// Grant tokens, separated by spaces
    #[arg(long, value_name = "TOKEN", num_args = 1..)]
    grant_tokens: Vec<String>,

    /// Only ask whether it would be allowed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Length {
    /// The kind of key
    #[arg(long)]
    key_spec: Option<KeySpec>,

    /// The key's length, 1 to 1024
    #[arg(long, value_name = "BYTES")]
    number_of_bytes: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeySpec {
    /// 32 bytes
    #[value(name = "AES_256")]
    Aes256,
    /// 16 bytes
    #[value(name = "AES_128")]
    Aes128,
}

impl Length {
    fn data_key_length(&self) -> Result<DataKeyLength, Failure> {
        match (self.key_spec, self.number_of_bytes) {
            (Some(KeySpec::Aes256), None) => Ok(DataKeyLength::Aes256),
            (Some(KeySpec::Aes128), None) => Ok(DataKeyLength::Aes128),
            (None, Some(bytes)) => Ok(DataKeyLength::Bytes(bytes)),
            _ => Err(Failure::usage("give exactly one of --key-spec and --number-of-bytes")),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output<'a> {
    ciphertext_blob: String,
    plaintext: &'a str,
    key_id: &'a str,
}

pub(super) async fn run(client: &BrokerClient, arguments: Arguments) -> Result<(), Failure> {
    let request = GenerateDataKey {
        length: arguments.length.data_key_length()?,
        key_id: arguments.key_id,
        encryption_context: arguments.encryption_context.unwrap_or_default().0,
        grant_tokens: arguments.grant_tokens,
        dry_run: arguments.dry_run,
    };
    match client.generate_data_key(&request).await {
        Ok(data_key) => print_json(&Output {
            ciphertext_blob: BASE64.encode(&data_key.ciphertext_blob),
            plaintext: &secret_base64(&data_key.plaintext),
            key_id: &data_key.key_id,
        }),
        Err(ClientError::Refused(refusal)) if request.dry_run && refusal.is_successful_dry_run() => {
            eprintln!("dry run: the request would have succeeded");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
