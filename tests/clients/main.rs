//! The AWS CLI, boto3 and the AWS SDKs for Rust and JavaScript against a running broker, and what they receive opened by
//! implementations that are not ours.
//!
//! What the clients do is in the files beside this one, in their languages. Each test here runs one of them against a
//! broker of its own, over TLS or in the clear.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod broker;
#[path = "../support/clients.rs"]
mod clients;
mod envelope;
mod proxy;
mod story;

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::PrivateKey;
use rsa::pkcs8::DecodePrivateKey as _;
use serde_json::Value;

use broker::{Broker, Transport};
use proxy::{Identity, Proxy};

#[test]
fn boto3_uses_data_keys_over_tls() {
    run_python("boto3_data_keys", Transport::Tls);
}

#[test]
fn boto3_uses_data_keys_in_the_clear() {
    run_python("boto3_data_keys", Transport::Plain);
}

#[test]
fn boto3_encrypts_and_looks_after_keys() {
    run_python("boto3_management", Transport::Tls);
}

#[test]
fn boto3_lends_a_key_by_grants() {
    run_python("boto3_grants", Transport::Tls);
}

#[test]
fn boto3_uses_asymmetric_and_hmac_keys() {
    run_python("boto3_asymmetric", Transport::Tls);
}

#[test]
fn boto3_lives_by_identity_policies() {
    run_python("boto3_identity", Transport::Tls);
}

#[test]
fn boto3_meets_modelled_exceptions() {
    run_python("boto3_refusals", Transport::Tls);
}

#[test]
fn boto3_imports_key_material() {
    run_python("boto3_imports", Transport::Tls);
}

#[test]
fn boto3_signs_or_is_nobody() {
    run_python("boto3_callers", Transport::Tls);
}

#[test]
fn botocore_presigns() {
    run_python("boto3_presigned", Transport::Tls);
}

#[test]
fn the_aws_cli_calls_every_operation_over_tls() {
    run_python("aws_cli", Transport::Tls);
}

#[test]
fn the_aws_cli_calls_every_operation_in_the_clear() {
    run_python("aws_cli", Transport::Plain);
}

#[test]
fn the_encryption_sdk_outside_of_an_enclave_only_writes() {
    run_python("encryption_sdk_outside", Transport::Tls);
}

/// Every operation and every constraint of botocore's service model; prints how many cases are as the model has them.
#[test]
fn the_broker_conforms_to_the_service_model() {
    let report = run_python("conformance.suite", Transport::Plain);
    let counted = report.lines().find(|line| line.starts_with("conformance: "));
    println!("{}", counted.unwrap_or_else(|| panic!("nothing was counted: {report}")));
}

#[test]
fn boto3_through_the_enclaves_proxy_gets_plaintext() {
    run_python_through_a_proxy("boto3_proxy", Identity::Nobody);
}

#[test]
fn boto3_through_a_proxy_that_signs_is_the_proxys_principal() {
    run_python_through_a_proxy("boto3_proxy_signed", Identity::Parent);
}

#[test]
fn the_aws_encryption_sdk_works_through_the_enclaves_proxy() {
    run_python_through_a_proxy("encryption_sdk", Identity::Nobody);
}

#[test]
fn the_sdk_for_rust_through_the_enclaves_proxy_gets_plaintext() {
    let broker = Broker::start(Transport::Tls);
    let proxy = Proxy::start(&broker, Identity::Nobody);
    let output = Command::new(clients::require_sdk_for_rust())
        .arg("through-proxy")
        .envs(proxy.environment())
        .env("ALIAS", "alias/app")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let steps: Vec<(&str, Vec<u8>)> = told
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(step, bytes)| (step, BASE64.decode(bytes).unwrap()))
        .collect();
    let [("generated", fresh), ("decrypted", later), ("random", random)] = &steps[..] else {
        panic!("{told}");
    };
    assert_eq!((fresh.len(), random.len()), (32, 24));
    assert_eq!(fresh, later);
}

#[test]
fn the_aws_cli_through_the_enclaves_proxy_gets_plaintext() {
    let venv = clients::require_venv();
    let broker = Broker::start(Transport::Tls);
    let proxy = Proxy::start(&broker, Identity::Nobody);
    let run = |arguments: &[&str]| -> Value {
        let output = proxy::aws(&venv, &proxy).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let generated = run(&["generate-data-key", "--key-id", "alias/app", "--key-spec", "AES_256"]);
    let ciphertext = broker.path("ciphertext");
    std::fs::write(&ciphertext, blob(&generated, "CiphertextBlob")).unwrap();
    let decrypted = run(&["decrypt", "--ciphertext-blob", &format!("fileb://{}", ciphertext.display())]);
    assert_eq!(generated["Plaintext"], decrypted["Plaintext"]);
    assert_eq!(blob(&generated, "Plaintext").len(), 32);
}

/// The envelope of a fresh data key and that of its decryption hold the same bytes, for every length whose ciphertext
/// fills its OCTET STRING in another way.
#[test]
fn the_rsa_crate_opens_what_the_aws_cli_receives() {
    let venv = clients::require_venv();
    let broker = Broker::start(Transport::Tls);
    let private_key = PrivateKey::from_pkcs8_der(&std::fs::read(broker.path("key.der")).unwrap()).unwrap();
    let recipient = format!(
        "KeyEncryptionAlgorithm=RSAES_OAEP_SHA_256,AttestationDocument@=fileb://{}",
        broker.path("good.bin").display()
    );
    for length in ["1", "15", "16", "32", "127", "991", "992", "999", "1000", "1024"] {
        let generated = aws(
            &venv,
            &broker,
            &[
                "generate-data-key",
                "--key-id",
                "alias/app",
                "--number-of-bytes",
                length,
                "--recipient",
                &recipient,
            ],
        );
        let ciphertext = broker.path(&format!("{length}.ciphertext"));
        std::fs::write(&ciphertext, blob(&generated, "CiphertextBlob")).unwrap();
        let ciphertext = format!("fileb://{}", ciphertext.display());
        let decrypted =
            aws(&venv, &broker, &["decrypt", "--ciphertext-blob", &ciphertext, "--recipient", &recipient]);

        let [fresh, later] = [&generated, &decrypted]
            .map(|answer| envelope::open(&blob(answer, "CiphertextForRecipient"), &private_key));
        assert_eq!(fresh.len().to_string(), length);
        assert_eq!(fresh, later);
    }
}

/// Runs the tests in `tests/clients/<module>.py` against a new broker, and returns what they print.
fn run_python(module: &str, transport: Transport) -> String {
    run_python_with(module, &Broker::start(transport), &[])
}

/// The same with an SDK that finds a proxy by its environment, and the broker behind that.
fn run_python_through_a_proxy(module: &str, identity: Identity) {
    let broker = Broker::start(Transport::Tls);
    let proxy = Proxy::start(&broker, identity);
    run_python_with(module, &broker, &proxy.environment());
}

fn run_python_with(module: &str, broker: &Broker, environment: &[(&str, String)]) -> String {
    let venv = clients::require_venv();
    let output = Command::new(venv.join("bin/python"))
        .args(["-m", "unittest", "--verbose", module])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients"))
        .env("SETTING", broker.path("setting.json"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{}", broker.end_of_log());
    assert!(report.contains("\nRan ") && !report.contains("\nRan 0 "), "{report}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `aws kms` prints, signed by the parent's credential.
fn aws(venv: &Path, broker: &Broker, arguments: &[&str]) -> Value {
    let output = broker.aws(venv).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn blob(answer: &Value, member: &str) -> Vec<u8> {
    BASE64.decode(answer[member].as_str().unwrap()).unwrap()
}
