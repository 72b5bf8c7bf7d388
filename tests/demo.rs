//! The demo goes as it says, and with `--keep` the lines that it prints for the AWS CLI work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/clients.rs"]
mod clients;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What the demo prints before the lines to paste, and before those to stop the broker.
const PASTE: &str = "To talk to it with the AWS CLI, paste:\n";
const STOP: &str = "To stop it and clean up: ";

#[test]
fn every_step_of_the_demo_is_as_expected() {
    let output = run_demo(&[]);
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("✓ refused, as it should be").count(), 5, "{text}");
    assert!(text.ends_with("All as expected.\n"), "{text}");
}

#[test]
fn the_lines_that_a_kept_demo_prints_work() {
    clients::require_venv();
    let output = run_demo(&["--keep"]);
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    let (paste, rest) = text.split_once(PASTE).unwrap().1.split_once(STOP).unwrap();
    let stop = rest.lines().next().unwrap();

    let pasted = bash(paste);
    let stopped = bash(stop);
    assert!(stopped.status.success(), "{}", text_of(&stopped));
    let pasted_text = text_of(&pasted);
    assert!(pasted.status.success(), "{pasted_text}");
    for member in ["\"KeyMaterialId\"", "\"CiphertextForRecipient\"", "\"eventName\":\"GenerateDataKey\""] {
        assert!(pasted_text.contains(member), "{member} is not in\n{pasted_text}");
    }
    assert!(!pasted_text.contains("\"Plaintext\""), "{pasted_text}");
}

fn run_demo(arguments: &[&str]) -> Output {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/run");
    // The broker that stays up keeps no pipe of this test open: its output goes to files.
    Command::new(demo).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn bash(script: &str) -> Output {
    let strict = format!("set -euo pipefail\n{script}");
    Command::new("bash").args(["-c", &strict]).stdin(Stdio::null()).output().unwrap()
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}
