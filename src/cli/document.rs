use std::path::Path;

use super::data_dir::read_input;
use super::error::CliError;
use crate::attestation::TrustAnchors;
use crate::inspection;

/// More than a document of 262,144 bytes takes in base64 with line ends.
const MAX_INPUT_LEN: u64 = 512 * 1024;

/// The document in a file or, for `-`, on standard input; in binary or base64.
pub(super) fn read_document(path: &Path) -> Result<Vec<u8>, CliError> {
    Ok(inspection::decode(read_input(path, MAX_INPUT_LEN)?))
}

/// The root in the file of `--root` and no other, or that of AWS.
pub(super) fn trust_anchors(root: Option<&Path>) -> Result<TrustAnchors, CliError> {
    let Some(path) = root else { return TrustAnchors::aws().map_err(CliError::failed) };
    let pem = std::fs::read(path)
        .map_err(|error| CliError::usage(format!("--root {}: {error}", path.display())))?;
    TrustAnchors::only_configured(&pem, path).map_err(CliError::usage)
}
