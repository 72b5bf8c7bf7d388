//! Programs of others that read what the broker shows.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Python with readers of the formats of Prometheus and OpenTelemetry.
pub fn python() -> PathBuf {
    require("observe-venv/bin/python")
}

pub fn promtool() -> PathBuf {
    require("observe/usr/bin/promtool")
}

/// Runs a script of this folder over `input`; yields the JSON that it prints.
pub fn run_script(script: &str, arguments: &[&str], input: &[u8]) -> Value {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/observe").join(script)).args(arguments);
    let done = run_with_input(command, input);
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

pub fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn require(program: &str) -> PathBuf {
    // CARGO_TARGET_TMPDIR is `tmp` in the target directory.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(program);
    assert!(
        path.exists(),
        "{} is not there: run `make test`, or `scripts/install-prerequisites observe`",
        path.display()
    );
    path
}
