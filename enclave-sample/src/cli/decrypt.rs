//! `enclave-sample decrypt`

use clap::Args;
use enclave_sample::client::{BrokerClient, ClientError, Decrypt};
use serde::Serialize;

use super::failure::Failure;
use super::output::{print_json, secret_base64};
use super::parameters::{ContextArgument, parse_context, read_blob};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The ciphertext: base64, or fileb://PATH
    #[arg(long, value_name = "BLOB")]
    ciphertext_blob: String,

    /// The key that must have made it
    #[arg(long)]
    key_id: Option<String>,

    /// The pairs it was bound to: k=v,k2=v2 or a JSON object
    #[arg(long, value_name = "PAIRS", value_parser = parse_context)]
    encryption_context: Option<ContextArgument>,

    /// Grant tokens, separated by spaces
    #[arg(long, value_name = "TOKEN", num_args = 1..)]
    grant_tokens: Vec<String>,

    /// Only ask whether it would be allowed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output<'a> {
    key_id: &'a str,
    plaintext: &'a str,
}

pub(super) async fn run(client: &BrokerClient, arguments: Arguments) -> Result<(), Failure> {
    let request = Decrypt {
        ciphertext_blob: read_blob("--ciphertext-blob", &arguments.ciphertext_blob)?,
        encryption_algorithm: None,
        key_id: arguments.key_id,
        encryption_context: arguments.encryption_context.unwrap_or_default().0,
        grant_tokens: arguments.grant_tokens,
        dry_run: arguments.dry_run,
    };
    match client.decrypt(&request).await {
        Ok(decrypted) => {
            print_json(&Output { key_id: &decrypted.key_id, plaintext: &secret_base64(&decrypted.plaintext) })
        }
        Err(ClientError::Refused(refusal)) if request.dry_run && refusal.is_successful_dry_run() => {
            eprintln!("dry run: the request would have succeeded");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
