//! `enclave-sample derive-shared-secret`

use clap::Args;
use enclave_sample::client::{DeriveSharedSecret, SharedSecret};
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::parameters::read_blob;
use super::call::{AuthorizationOptions, Call, CallOptions, Printed, add, base64};
use super::render::SecretValue;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// A key whose usage is KEY_AGREEMENT: key id, key ARN, alias/NAME or alias ARN
    #[arg(long)]
    key_id: Option<String>,

    /// How the secret is derived
    #[arg(long, value_name = "ALGORITHM", value_parser = ["ECDH"])]
    key_agreement_algorithm: Option<String>,

    /// The other party's public key, DER: base64, or fileb://PATH
    #[arg(long, value_name = "BLOB")]
    public_key: Option<String>,

    #[command(flatten)]
    authorization: AuthorizationOptions,
    #[command(flatten)]
    options: CallOptions,
}

impl Arguments {
    pub(super) fn into_call(self) -> Result<Call<DeriveSharedSecret>, Failure> {
        let Self { key_id, key_agreement_algorithm, public_key, authorization, options } = self;
        let public_key = public_key.map(|text| read_blob("--public-key", &text)).transpose()?;
        let mut given = Map::new();
        add(&mut given, "KeyId", key_id);
        add(&mut given, "KeyAgreementAlgorithm", key_agreement_algorithm);
        add(&mut given, "PublicKey", public_key.as_deref().map(base64));
        authorization.add_to(&mut given);
        Ok(Call::new(given, options))
    }
}

impl Printed for DeriveSharedSecret {
    const REQUIRED: &'static [(&'static str, &'static str)] = &[
        ("KeyId", "--key-id"),
        ("KeyAgreementAlgorithm", "--key-agreement-algorithm"),
        ("PublicKey", "--public-key"),
    ];

    fn input_skeleton() -> Value {
        json!({
            "KeyId": "",
            "KeyAgreementAlgorithm": "ECDH",
            "PublicKey": "",
            "GrantTokens": [""],
            "DryRun": true,
        })
    }

    fn output_skeleton() -> Value {
        json!({"KeyId": "KeyId", "SharedSecret": "YmxvYg==", "KeyAgreementAlgorithm": "KeyAgreementAlgorithm"})
    }

    fn members(answer: SharedSecret) -> SecretValue {
        SecretValue(json!({
            "KeyId": answer.key_id,
            "SharedSecret": base64(&answer.shared_secret),
            "KeyAgreementAlgorithm": "ECDH",
        }))
    }
}
