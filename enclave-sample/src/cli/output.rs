//! What goes to stdout and into files.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use zeroize::Zeroizing;

use super::failure::Failure;

/// Room for a blob and a plaintext in base64, so that writing never moves the plaintext to a larger buffer.
const JSON_BYTES: usize = 32 * 1024;

/// Writes `value` to stdout in the form of the AWS CLI: indented JSON and a line feed.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = Zeroizing::new(Vec::with_capacity(JSON_BYTES));
    serde_json::to_writer_pretty(&mut *text, value)
        .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
    text.push(b'\n');
    print(&text)
}

/// Writes `text` to stdout.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::failed(format!("cannot write to stdout: {error}")))
}

/// Base64 that is cleared on drop.
pub(super) fn secret_base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(bytes))
}

/// Writes a new file that only its owner may read; an existing one is an error.
pub(super) fn write_new_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}
