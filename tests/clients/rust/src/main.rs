//! The story of a key, told to a broker by the AWS SDK for Rust: one line for each step, as `story.rs` reads it. With the
//! argument `through-proxy`, what an application in an enclave asks its proxy for.

use std::env;
use std::error::Error;
use std::fs;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Config, Credentials, Region};
use aws_sdk_kms::error::ProvideErrorMetadata as _;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyEncryptionMechanism, RecipientInfo};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let kms = client()?;
    if env::args().nth(1).as_deref() == Some("through-proxy") {
        return ask_the_proxy(&kms).await;
    }
    let (alias, policy) = (env::var("ALIAS")?, fs::read_to_string(env::var("POLICY")?)?);
    let recipient = RecipientInfo::builder()
        .key_encryption_algorithm(KeyEncryptionMechanism::RsaesOaepSha256)
        .attestation_document(Blob::new(fs::read(env::var("DOCUMENT")?)?))
        .build();

    let created = kms.create_key().policy(&policy).send().await?.key_metadata.ok_or("no metadata")?;
    let key = created.key_id;
    tell("created", created.arn)?;

    kms.create_alias().alias_name(&alias).target_key_id(&key).send().await?;
    let metadata = kms.describe_key().key_id(&alias).send().await?.key_metadata;
    tell("aliased", metadata.and_then(|metadata| metadata.arn))?;

    kms.put_key_policy().key_id(&key).policy(&policy).send().await?;
    let names = kms.list_key_policies().key_id(&key).send().await?.policy_names;
    tell("policies", names.map(|names| names.join(" ")))?;

    let generated = kms
        .generate_data_key()
        .key_id(&alias)
        .key_spec(DataKeySpec::Aes256)
        .encryption_context("story", "rust")
        .recipient(recipient.clone())
        .send()
        .await?;
    tell_envelope("generated", generated.ciphertext_for_recipient)?;
    let ciphertext = generated.ciphertext_blob.ok_or("no ciphertext")?;

    let decrypt = || {
        let decrypt = kms.decrypt().ciphertext_blob(ciphertext.clone()).recipient(recipient.clone());
        decrypt.encryption_context("story", "rust").send()
    };
    tell_envelope("decrypted", decrypt().await?.ciphertext_for_recipient)?;

    kms.rotate_key_on_demand().key_id(&key).send().await?;
    let rotations = kms.list_key_rotations().key_id(&key).send().await?.rotations;
    tell("rotations", rotations.map(|rotations| rotations.len().to_string()))?;
    tell_envelope("decrypted", decrypt().await?.ciphertext_for_recipient)?;

    kms.disable_key().key_id(&key).send().await?;
    let metadata = kms.describe_key().key_id(&key).send().await?.key_metadata;
    tell("state", metadata.and_then(|metadata| metadata.key_state).map(|state| state.to_string()))?;
    let refusal = decrypt().await.err();
    tell("refused", refusal.and_then(|error| error.code().map(str::to_owned)))?;

    let scheduled = kms.schedule_key_deletion().key_id(&key).pending_window_in_days(7).send().await?;
    tell("state", scheduled.key_state.map(|state| state.to_string()))
}

/// As an application in an enclave, whose proxy answers with the plaintext: the SDK is told nothing of attestation.
async fn ask_the_proxy(kms: &Client) -> Outcome<()> {
    let generated = kms
        .generate_data_key()
        .key_id(env::var("ALIAS")?)
        .key_spec(DataKeySpec::Aes256)
        .encryption_context("story", "proxy")
        .send()
        .await?;
    tell_envelope("generated", generated.plaintext)?;
    let ciphertext = generated.ciphertext_blob.ok_or("no ciphertext")?;
    let decrypted =
        kms.decrypt().ciphertext_blob(ciphertext).encryption_context("story", "proxy").send().await?;
    tell_envelope("decrypted", decrypted.plaintext)?;
    tell_envelope("random", kms.generate_random().number_of_bytes(24).send().await?.plaintext)
}

/// Over HTTP without TLS, which the other clients speak: half of the SDK's dependencies are for TLS.
fn client() -> Outcome<Client> {
    let variable = |name| env::var(name).map_err(|error| format!("{name}: {error}"));
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        None,
        None,
        "test",
    );
    let config = Config::builder()
        .behavior_version_latest()
        .endpoint_url(variable("AWS_ENDPOINT_URL_KMS")?)
        .region(Region::new(variable("AWS_DEFAULT_REGION")?))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Ok(Client::from_conf(config.build()))
}

fn tell(step: &str, text: Option<String>) -> Outcome<()> {
    let text = text.ok_or_else(|| format!("{step}: the answer lacks what is told"))?;
    println!("{step} {text}");
    Ok(())
}

fn tell_envelope(step: &str, envelope: Option<Blob>) -> Outcome<()> {
    tell(step, envelope.map(aws_smithy_types::base64::encode))
}
