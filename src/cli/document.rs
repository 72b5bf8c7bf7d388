use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::data_dir::read_input;
use super::error::CliError;
use crate::attestation::TrustAnchors;

/// More than a document of 262,144 bytes takes in base64 with line ends.
const MAX_INPUT_LEN: u64 = 512 * 1024;

/// The document in a file or, for `-`, on standard input; in binary or base64.
pub(super) fn read_document(path: &Path) -> Result<Vec<u8>, CliError> {
    Ok(decode(read_input(path, MAX_INPUT_LEN)?))
}

/// The root in the file of `--root` and no other, or that of AWS.
pub(super) fn trust_anchors(root: Option<&Path>) -> Result<TrustAnchors, CliError> {
    let Some(path) = root else { return TrustAnchors::aws().map_err(CliError::failed) };
    let pem = std::fs::read(path)
        .map_err(|error| CliError::usage(format!("--root {}: {error}", path.display())))?;
    TrustAnchors::only_configured(&pem, path).map_err(CliError::usage)
}

/// The bytes of a document that is perhaps written in base64. No document is: it starts with a byte above ASCII.
fn decode(input: Vec<u8>) -> Vec<u8> {
    let text: Vec<u8> = input.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if text.is_ascii()
        && let Ok(decoded) = STANDARD.decode(&text)
    {
        decoded
    } else {
        input
    }
}
