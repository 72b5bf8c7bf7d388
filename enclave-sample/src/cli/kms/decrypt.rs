//! `enclave-sample decrypt`

use clap::Args;
use enclave_sample::client::{Decrypt, Decrypted};
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::parameters::{ContextArgument, parse_context, read_blob};
use super::call::{AuthorizationOptions, Call, CallOptions, Printed, add, add_context, base64};
use super::render::SecretValue;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The ciphertext: base64, or fileb://PATH
    #[arg(long, value_name = "BLOB")]
    ciphertext_blob: Option<String>,

    /// The key that must have made it
    #[arg(long)]
    key_id: Option<String>,

    /// The pairs it was bound to: k=v,k2=v2 or a JSON object
    #[arg(long, value_name = "PAIRS", value_parser = parse_context)]
    encryption_context: Option<ContextArgument>,

    /// The algorithm that made it [default: SYMMETRIC_DEFAULT]
    #[arg(long, value_name = "ALGORITHM")]
    encryption_algorithm: Option<String>,

    #[command(flatten)]
    authorization: AuthorizationOptions,
    #[command(flatten)]
    options: CallOptions,
}

impl Arguments {
    pub(super) fn into_call(self) -> Result<Call<Decrypt>, Failure> {
        let Self {
            ciphertext_blob,
            key_id,
            encryption_context,
            encryption_algorithm,
            authorization,
            options,
        } = self;
        let blob = ciphertext_blob.map(|text| read_blob("--ciphertext-blob", &text)).transpose()?;
        let mut given = Map::new();
        add(&mut given, "CiphertextBlob", blob.as_deref().map(base64));
        add(&mut given, "KeyId", key_id);
        add_context(&mut given, encryption_context.map(|context| context.0));
        add(&mut given, "EncryptionAlgorithm", encryption_algorithm);
        authorization.add_to(&mut given);
        Ok(Call::new(given, options))
    }
}

impl Printed for Decrypt {
    const REQUIRED: &'static [(&'static str, &'static str)] = &[("CiphertextBlob", "--ciphertext-blob")];

    fn input_skeleton() -> Value {
        json!({
            "CiphertextBlob": "",
            "EncryptionContext": {"KeyName": ""},
            "GrantTokens": [""],
            "KeyId": "",
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DryRun": true,
        })
    }

    fn output_skeleton() -> Value {
        json!({"KeyId": "KeyId", "Plaintext": "YmxvYg==", "EncryptionAlgorithm": "EncryptionAlgorithm"})
    }

    fn members(answer: Decrypted) -> SecretValue {
        SecretValue(json!({
            "KeyId": answer.key_id,
            "Plaintext": base64(&answer.plaintext),
            "EncryptionAlgorithm": answer.encryption_algorithm,
        }))
    }
}
