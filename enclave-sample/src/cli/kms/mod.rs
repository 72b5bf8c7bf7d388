//! The five attested operations with the AWS CLI's flags, one file for each.

mod call;
mod decrypt;
mod derive_shared_secret;
mod generate_data_key;
mod generate_data_key_pair;
mod generate_random;
mod render;

use clap::Subcommand;
use enclave_sample::client::BrokerClient;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum KmsCommand {
    /// Obtain a new data key; the flags are those of `aws kms generate-data-key`
    GenerateDataKey(generate_data_key::Arguments),
    /// Have a ciphertext decrypted; the flags are those of `aws kms decrypt`
    Decrypt(decrypt::Arguments),
    /// Obtain a new key pair; the flags are those of `aws kms generate-data-key-pair`
    GenerateDataKeyPair(generate_data_key_pair::Arguments),
    /// Obtain random bytes; the flags are those of `aws kms generate-random`
    GenerateRandom(generate_random::Arguments),
    /// Have a shared secret derived; the flags are those of `aws kms derive-shared-secret`
    DeriveSharedSecret(derive_shared_secret::Arguments),
}

/// Runs the command. `client` is made only if there is something to ask.
pub(super) async fn run(
    command: KmsCommand,
    client: impl FnOnce() -> Result<BrokerClient, Failure>,
) -> Result<(), Failure> {
    match command {
        KmsCommand::GenerateDataKey(arguments) => arguments.into_call()?.run(client).await,
        KmsCommand::Decrypt(arguments) => arguments.into_call()?.run(client).await,
        KmsCommand::GenerateDataKeyPair(arguments) => arguments.into_call()?.run(client).await,
        KmsCommand::GenerateRandom(arguments) => arguments.into_call()?.run(client).await,
        KmsCommand::DeriveSharedSecret(arguments) => arguments.into_call()?.run(client).await,
    }
}
