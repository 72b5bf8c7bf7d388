//! `enclave-sample generate-data-key-pair`

use clap::Args;
use enclave_sample::client::{DataKeyPair, GenerateDataKeyPair, KeyPairSpec};
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::parameters::{ContextArgument, parse_context};
use super::call::{AuthorizationOptions, Call, CallOptions, Printed, add, add_context, base64};
use super::render::SecretValue;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The symmetric key to seal the private key under: key id, key ARN, alias/NAME or alias ARN
    #[arg(long)]
    key_id: Option<String>,

    /// The kind of pair: RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1
    /// or ECC_NIST_EDWARDS25519
    #[arg(long, value_name = "SPEC")]
    key_pair_spec: Option<KeyPairSpec>,

    /// Pairs to bind the private key to: k=v,k2=v2 or a JSON object
    #[arg(long, value_name = "PAIRS", value_parser = parse_context)]
    encryption_context: Option<ContextArgument>,

    #[command(flatten)]
    authorization: AuthorizationOptions,
    #[command(flatten)]
    options: CallOptions,
}

impl Arguments {
    pub(super) fn into_call(self) -> Result<Call<GenerateDataKeyPair>, Failure> {
        let Self { key_id, key_pair_spec, encryption_context, authorization, options } = self;
        let mut given = Map::new();
        add(&mut given, "KeyId", key_id);
        add(&mut given, "KeyPairSpec", key_pair_spec.map(KeyPairSpec::name));
        add_context(&mut given, encryption_context.map(|context| context.0));
        authorization.add_to(&mut given);
        Ok(Call::new(given, options))
    }
}

impl Printed for GenerateDataKeyPair {
    const REQUIRED: &'static [(&'static str, &'static str)] =
        &[("KeyId", "--key-id"), ("KeyPairSpec", "--key-pair-spec")];

    fn input_skeleton() -> Value {
        json!({
            "EncryptionContext": {"KeyName": ""},
            "KeyId": "",
            "KeyPairSpec": "RSA_3072",
            "GrantTokens": [""],
            "DryRun": true,
        })
    }

    fn output_skeleton() -> Value {
        json!({
            "PrivateKeyCiphertextBlob": "YmxvYg==",
            "PrivateKeyPlaintext": "YmxvYg==",
            "PublicKey": "YmxvYg==",
            "KeyId": "KeyId",
            "KeyPairSpec": "KeyPairSpec",
        })
    }

    fn members(answer: DataKeyPair) -> SecretValue {
        SecretValue(json!({
            "PrivateKeyCiphertextBlob": base64(&answer.private_key_ciphertext_blob),
            "PrivateKeyPlaintext": base64(&answer.private_key),
            "PublicKey": base64(&answer.public_key),
            "KeyId": answer.key_id,
            "KeyPairSpec": answer.key_pair_spec.name(),
        }))
    }
}
