//! The help texts. `SNAPSHOTS=overwrite cargo test -p enclave-sample --test help` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::process::Command;

use snapbox::{Data, assert_data_eq, file};

fn help(arguments: &[&str], golden: Data) {
    let output = Command::new(env!("CARGO_BIN_EXE_enclave-sample"))
        .env_clear()
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    assert_data_eq!(String::from_utf8(output.stdout).unwrap(), golden);
}

#[test]
fn help_of_every_command() {
    let commands: [(&[&str], Data); 14] = [
        (&[], file!["golden/help.txt"]),
        (&["generate-data-key"], file!["golden/help_generate_data_key.txt"]),
        (&["decrypt"], file!["golden/help_decrypt.txt"]),
        (&["generate-data-key-pair"], file!["golden/help_generate_data_key_pair.txt"]),
        (&["generate-random"], file!["golden/help_generate_random.txt"]),
        (&["derive-shared-secret"], file!["golden/help_derive_shared_secret.txt"]),
        (&["proxy"], file!["golden/help_proxy.txt"]),
        (&["seal"], file!["golden/help_seal.txt"]),
        (&["open"], file!["golden/help_open.txt"]),
        (&["init"], file!["golden/help_init.txt"]),
        (&["attestation-document"], file!["golden/help_attestation_document.txt"]),
        (&["development-root"], file!["golden/help_development_root.txt"]),
        (&["kmstool-enclave-cli"], file!["golden/help_kmstool.txt"]),
        (&["kmstool-enclave-cli", "genkey"], file!["golden/help_kmstool_genkey.txt"]),
    ];
    for (command, golden) in commands {
        help(command, golden);
    }
}
