//! The program, run as a user runs it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use snapbox::{Assert, IntoData, Redactions};

pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-key-broker"));
    command.env_clear().current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

pub fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = program(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Everything a user sees, for one golden text.
pub fn transcript(output: &Output) -> String {
    let status = output.status.code().unwrap();
    let stdout = std::str::from_utf8(&output.stdout).unwrap();
    let stderr = std::str::from_utf8(&output.stderr).unwrap();
    format!("{stdout}{stderr}[status {status}]\n")
}

pub struct DataDir {
    directory: tempfile::TempDir,
}

impl DataDir {
    pub fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn initialised() -> Self {
        let data_dir = Self::empty();
        assert!(data_dir.run(&["init"]).status.success());
        data_dir
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let data_dir = self.path().join("data");
        let mut all = vec!["--data-dir", data_dir.to_str().unwrap()];
        all.extend(arguments);
        run(&all)
    }

    pub fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", transcript(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Holds a transcript against a golden text in which `[DIR]` is this directory and ids and times are masked.
    pub fn assert_transcript(&self, output: &Output, golden: impl IntoData) {
        let mut redactions = Redactions::new();
        redactions.insert("[DIR]", self.path().to_owned()).unwrap();
        Assert::new().action_env("SNAPSHOTS").redact_with(redactions).eq(transcript(output), golden);
    }
}
