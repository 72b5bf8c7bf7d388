//! `enclave-sample generate-data-key`

use clap::Args;
use enclave_sample::client::{DataKey, GenerateDataKey};
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::parameters::{ContextArgument, parse_context};
use super::call::{AuthorizationOptions, Call, CallOptions, Printed, add, add_context, base64};
use super::render::SecretValue;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Key id, key ARN, alias/NAME or alias ARN
    #[arg(long)]
    key_id: Option<String>,

    #[command(flatten)]
    length: Length,

    /// Pairs to bind the key to: k=v,k2=v2 or a JSON object
    #[arg(long, value_name = "PAIRS", value_parser = parse_context)]
    encryption_context: Option<ContextArgument>,

    #[command(flatten)]
    authorization: AuthorizationOptions,
    #[command(flatten)]
    options: CallOptions,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct Length {
    /// The kind of key: AES_256 has 32 bytes, AES_128 has 16
    #[arg(long, value_parser = ["AES_256", "AES_128"])]
    key_spec: Option<String>,

    /// The key's length, 1 to 1024
    #[arg(long, value_name = "BYTES")]
    number_of_bytes: Option<u32>,
}

impl Arguments {
    pub(super) fn into_call(self) -> Result<Call<GenerateDataKey>, Failure> {
        let Self { key_id, length, encryption_context, authorization, options } = self;
        let mut given = Map::new();
        add(&mut given, "KeyId", key_id);
        add(&mut given, "KeySpec", length.key_spec);
        add(&mut given, "NumberOfBytes", length.number_of_bytes);
        add_context(&mut given, encryption_context.map(|context| context.0));
        authorization.add_to(&mut given);
        Ok(Call::new(given, options))
    }
}

impl Printed for GenerateDataKey {
    const REQUIRED: &'static [(&'static str, &'static str)] = &[("KeyId", "--key-id")];

    fn input_skeleton() -> Value {
        json!({
            "KeyId": "",
            "EncryptionContext": {"KeyName": ""},
            "NumberOfBytes": 0,
            "KeySpec": "AES_256",
            "GrantTokens": [""],
            "DryRun": true,
        })
    }

    fn output_skeleton() -> Value {
        json!({"CiphertextBlob": "YmxvYg==", "Plaintext": "YmxvYg==", "KeyId": "KeyId"})
    }

    fn members(answer: DataKey) -> SecretValue {
        SecretValue(json!({
            "CiphertextBlob": base64(&answer.ciphertext_blob),
            "Plaintext": base64(&answer.plaintext),
            "KeyId": answer.key_id,
        }))
    }
}
