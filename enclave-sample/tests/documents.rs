//! What the documents and deployment files say of options is what the program has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn variables(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !(character.is_ascii_uppercase() || character == '_'))
        .filter(|word| word.starts_with("ENCLAVE_SAMPLE_") && *word != "ENCLAVE_SAMPLE_")
        .collect()
}

#[test]
fn every_variable_in_the_documents_is_an_option_and_every_option_is_in_the_documents() {
    let mut help = String::new();
    for command in [&["--help"][..], &["init", "--help"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_enclave-sample")).env_clear().args(command).output().unwrap();
        help.push_str(std::str::from_utf8(&output.stdout).unwrap());
    }
    let read = |name: &str| fs::read_to_string(repository().join(name)).unwrap();
    let document = read("docs/enclave.md");
    assert_eq!(variables(&document), variables(&help));
    let image = read("deploy/enclave/Dockerfile");
    let in_image = variables(&image);
    assert!(in_image.len() >= 3 && in_image.is_subset(&variables(&document)), "{in_image:?}");
}

#[test]
fn the_static_build_is_a_script_that_bash_can_read() {
    let script = repository().join("scripts/build-static");
    assert!(Command::new("bash").arg("-n").arg(script).status().unwrap().success());
}
