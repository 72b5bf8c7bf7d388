//! The real clients that `make test` installs.

use std::path::{Path, PathBuf};

/// The virtual environment with the AWS CLI and boto3, under the target directory that this test was built in.
///
/// # Panics
/// When it is not there: what is not installed is not tested, and that is a failure.
pub fn require_venv() -> PathBuf {
    // CARGO_TARGET_TMPDIR is `tmp` in the target directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let venv = target.join("clients-venv");
    assert!(
        venv.join("bin/aws").exists(),
        "{} has no AWS CLI: run `make test`, or `scripts/install-prerequisites clients`",
        venv.display()
    );
    venv
}
