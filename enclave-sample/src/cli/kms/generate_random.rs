//! `enclave-sample generate-random`

use clap::Args;
use enclave_sample::client::GenerateRandom;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::super::failure::Failure;
use super::call::{Call, CallOptions, Printed, add, base64};
use super::render::SecretValue;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// How many, 1 to 1024
    #[arg(long, value_name = "BYTES")]
    number_of_bytes: Option<u32>,

    #[command(flatten)]
    options: CallOptions,
}

impl Arguments {
    pub(super) fn into_call(self) -> Result<Call<GenerateRandom>, Failure> {
        let mut given = Map::new();
        add(&mut given, "NumberOfBytes", self.number_of_bytes);
        Ok(Call::new(given, self.options))
    }
}

impl Printed for GenerateRandom {
    const REQUIRED: &'static [(&'static str, &'static str)] = &[("NumberOfBytes", "--number-of-bytes")];

    fn input_skeleton() -> Value {
        json!({"NumberOfBytes": 0})
    }

    fn output_skeleton() -> Value {
        json!({"Plaintext": "YmxvYg=="})
    }

    fn members(answer: Zeroizing<Vec<u8>>) -> SecretValue {
        SecretValue(json!({"Plaintext": base64(&answer)}))
    }
}
