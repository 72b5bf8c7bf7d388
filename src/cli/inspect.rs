mod text;

use std::path::PathBuf;

use clap::Args;

use super::document::{read_document, trust_anchors};
use super::error::CliError;
use super::output::{print_json, print_line};
use crate::attestation::{Requirements, UnverifiedDocument};
use crate::inspection::Report;
use crate::time::UnixTime;

/// Show what an attestation document says, whether it verifies or not.
///
/// Says first whether it is genuine and at which step it fails; what is not proven is labelled unverified. Exit status 0
/// when it could be read, 1 when it is no enclave's document, 2 when the command line is wrong or the file cannot be
/// read. To decide anything, use `verify`.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The document: a file, binary or base64, or - for standard input.
    #[arg(value_name = "DOC")]
    document: PathBuf,

    /// Judge it at this time instead of now, such as 2025-01-06T16:07:05Z.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    at: Option<UnixTime>,

    /// Judge it under this root (PEM) instead of that of AWS.
    #[arg(long, value_name = "PEM")]
    root: Option<PathBuf>,

    /// Print JSON: the fields are in `claims` if their signature holds, else in `unverifiedClaims`.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), CliError> {
        let bytes = read_document(&self.document)?;
        let trust_anchors = trust_anchors(self.root.as_deref())?;
        let now = self.at.unwrap_or_else(UnixTime::now);
        let document = UnverifiedDocument::parse(&bytes).map_err(|error| {
            CliError::failed(format!(
                "not an enclave's attestation document, by the step {}: {error}",
                error.step().name()
            ))
        })?;
        let report = Report::new(&bytes, &document, &trust_anchors, now, &Requirements::default());
        if self.json { print_json(&report) } else { print_line(text::render(&report).trim_end()) }
    }
}
