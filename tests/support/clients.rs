//! The real clients that `make test` installs.

use std::path::{Path, PathBuf};

/// The virtual environment with the AWS CLI and boto3, under the target directory that this test was built in.
///
/// # Panics
/// When it is not there: what is not installed is not tested, and that is a failure.
pub fn require_venv() -> PathBuf {
    require("clients-venv", "bin/aws", "scripts/install-prerequisites clients")
}

/// The folder whose `node_modules` has the AWS SDK for JavaScript.
///
/// # Panics
/// As [`require_venv`].
#[allow(dead_code, reason = "not every test has stories to tell")]
pub fn require_node_packages() -> PathBuf {
    require("clients-node", "node_modules/@aws-sdk/client-kms", "scripts/install-prerequisites clients")
}

/// The folder whose `node_modules` has what drives Chromium.
///
/// # Panics
/// As [`require_venv`], also where there is no Chromium.
#[allow(dead_code, reason = "not every test has pages to look at")]
pub fn require_browser_packages() -> PathBuf {
    let installer = "scripts/install-prerequisites browser";
    assert!(
        Path::new("/usr/bin/chromium").exists(),
        "there is no Chromium: run `make test`, or `{installer}`"
    );
    require("console-node", "node_modules/playwright-core", installer)
}

/// The program made of the AWS SDK for Rust.
///
/// # Panics
/// As [`require_venv`].
#[allow(dead_code, reason = "not every test has stories to tell")]
pub fn require_sdk_for_rust() -> PathBuf {
    let program = "debug/aws-sdk-kms-story";
    require("clients-rust", program, "make sdk-for-rust").join(program)
}

fn require(folder: &str, content: &str, made_by: &str) -> PathBuf {
    // CARGO_TARGET_TMPDIR is `tmp` in the target directory.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(folder);
    assert!(
        folder.join(content).exists(),
        "{} has no {content}: run `make test`, or `{made_by}`",
        folder.display()
    );
    folder
}
