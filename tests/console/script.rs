//! A script in `browser/`, run by Node against a console.

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tokio::task::block_in_place;

use crate::clients::require_browser_packages;
use crate::stage::{OPERATOR, PASSWORD, Stage};

/// Where screenshots are put.
fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console-screenshots")
}

/// Bytes of a picture in the documents at most.
const MAX_PICTURE_LEN: u64 = 200 * 1000;

/// Takes the screenshots that the documents show over into them.
pub fn update_docs() {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    std::fs::create_dir_all(&pictures).unwrap();
    for entry in std::fs::read_dir(screenshots()).unwrap() {
        let (name, length) = entry.map(|entry| (entry.file_name(), entry.metadata().unwrap().len())).unwrap();
        if name.to_str().unwrap().starts_with("console-") {
            assert!(length < MAX_PICTURE_LEN, "{name:?} has {length} bytes");
            std::fs::copy(screenshots().join(&name), pictures.join(&name)).unwrap();
        }
    }
}

pub struct Script {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts `browser/NAME.mjs`, which finds `facts` in its environment.
    pub fn start(stage: &Stage, name: &'static str, facts: &Value) -> Self {
        Self::start_at(&stage.url(), name, facts)
    }

    /// As [`Script::start`], against any console.
    pub fn start_at(url: &str, name: &'static str, facts: &Value) -> Self {
        let packages = require_browser_packages();
        std::fs::create_dir_all(screenshots()).unwrap();
        let mut command = Command::new("node");
        command
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/console/browser")
                    .join(format!("{name}.mjs")),
            )
            .env("NODE_PACKAGES", packages)
            .env("CONSOLE", url)
            .env("OPERATOR", OPERATOR)
            .env("PASSWORD", PASSWORD)
            .env("FACTS", facts.to_string())
            .env("SCREENSHOTS", screenshots())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { name, child, lines }
    }

    /// Waits until the script says that it is ready for what comes.
    pub fn ready(&mut self) {
        let line = block_in_place(|| self.lines.next()).transpose().unwrap();
        if line.as_deref() != Some("ready") {
            let errors = block_in_place(|| self.errors());
            panic!("{}: {line:?} instead of ready: {errors}", self.name);
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) {
        let errors = block_in_place(|| {
            self.lines.by_ref().for_each(drop);
            self.errors()
        });
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {errors}", self.name);
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }
}

/// Neither does a script outlive its test.
impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script from beginning to end.
pub fn run(stage: &Stage, name: &'static str, facts: &Value) {
    Script::start(stage, name, facts).finish();
}
