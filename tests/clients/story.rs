//! The story of a key, told by four clients: made, named, given a policy, used by an enclave, rotated, disabled, at last
//! up for deletion. Each client prints a line a step, and all must print the same; what the enclave got is opened here.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::PrivateKey;
use rsa::pkcs8::DecodePrivateKey as _;

use crate::broker::{Broker, Transport};
use crate::{clients, envelope};

#[test]
fn the_aws_cli_tells_the_story_of_a_key() {
    let aws = clients::require_venv().join("bin/aws");
    tell(Transport::Tls, Command::new(source("story/aws_cli")).env("AWS", aws));
}

#[test]
fn boto3_tells_the_story_of_a_key() {
    let python = clients::require_venv().join("bin/python");
    tell(Transport::Tls, Command::new(python).arg(source("story/boto3_sdk.py")));
}

#[test]
fn the_sdk_for_javascript_tells_the_story_of_a_key() {
    let packages = clients::require_node_packages();
    tell(Transport::Tls, Command::new("node").arg(source("node/story.mjs")).env("NODE_PACKAGES", packages));
}

#[test]
fn the_sdk_for_rust_tells_the_story_of_a_key() {
    tell(Transport::Plain, &mut Command::new(clients::require_sdk_for_rust()));
}

/// Runs a client against a new broker and holds what it prints against the story.
fn tell(transport: Transport, client: &mut Command) {
    let broker = Broker::start(transport);
    broker.let_make_keys(client);
    let output = client
        .env("ALIAS", "alias/story")
        .env("DOCUMENT", broker.path("good.bin"))
        .env("POLICY", broker.path("policy-of-the-maker.json"))
        .output()
        .unwrap();
    let (told, complaint) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{complaint}\n{}", broker.end_of_log());

    let steps: Vec<(&str, &str)> = told.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let private_key = PrivateKey::from_pkcs8_der(&std::fs::read(broker.path("key.der")).unwrap()).unwrap();
    let opened: Vec<Vec<u8>> = steps
        .iter()
        .filter(|(step, _)| is_about_an_envelope(step))
        .map(|(_, sent)| envelope::open(&BASE64.decode(sent).unwrap(), &private_key))
        .collect();
    assert_eq!(opened.len(), 3, "{told}");
    assert_eq!(opened[0].len(), 32);
    assert!(opened.iter().all(|data_key| *data_key == opened[0]), "{told}");

    let (_, arn) = steps[0];
    assert!(arn.starts_with("arn:aws:kms:us-east-1:000000000000:key/"), "{arn}");
    let without_envelopes: Vec<(&str, &str)> = steps
        .iter()
        .map(|&(step, sent)| (step, if is_about_an_envelope(step) { "" } else { sent }))
        .collect();
    assert_eq!(
        without_envelopes,
        [
            ("created", arn),
            ("aliased", arn),
            ("policies", "default"),
            ("generated", ""),
            ("decrypted", ""),
            ("rotations", "1"),
            ("decrypted", ""),
            ("state", "Disabled"),
            ("refused", "DisabledException"),
            ("state", "PendingDeletion"),
        ]
    );
}

fn is_about_an_envelope(step: &str) -> bool {
    matches!(step, "generated" | "decrypted")
}

/// A file beside this one.
fn source(path: &str) -> String {
    format!("{}/tests/clients/{path}", env!("CARGO_MANIFEST_DIR"))
}
