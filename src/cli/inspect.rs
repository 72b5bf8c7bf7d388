mod claims;
mod text;
mod warnings;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::document::{read_document, trust_anchors};
use super::error::CliError;
use super::output::{print_json, print_line};
use crate::attestation::{
    self, Error, Requirements, Step, TrustAnchors, UnverifiedDocument, VerifiedEvidence,
};
use crate::time::UnixTime;
use claims::Claims;
use warnings::Warning;

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

/// All that is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    at: String,
    verdict: Verdict,
    /// What AWS's hypervisor signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Claims>,
    /// What anyone may have written.
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified_claims: Option<Claims>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    /// Genuine, fresh and not in debug mode.
    verified: bool,
    /// The path and the signature hold at that time.
    genuine: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_anchor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refusal>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    failed_step: &'static str,
    error: &'static str,
    message: String,
    /// Whether the path and the signature hold at the time that the document claims for itself.
    genuine_at_its_own_time: bool,
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
        let report = Report::new(&bytes, &document, &trust_anchors, now);
        if self.json { print_json(&report) } else { print_line(text::render(&report).trim_end()) }
    }
}

impl Report {
    fn new(
        bytes: &[u8],
        document: &UnverifiedDocument<'_>,
        trust_anchors: &TrustAnchors,
        now: UnixTime,
    ) -> Self {
        let verify = |now| attestation::verify(bytes, trust_anchors, now, &Requirements::default());
        let own_time = || is_genuine(&verify(document.timestamp()));
        let verdict = Verdict::new(&verify(now), trust_anchors, own_time);
        let claims = Claims::of(bytes, document, now);
        let (claims, unverified_claims) =
            if verdict.genuine { (Some(claims), None) } else { (None, Some(claims)) };
        Self {
            at: now.to_string(),
            verdict,
            claims,
            unverified_claims,
            warnings: warnings::of(document, now, &Requirements::default()),
        }
    }
}

impl Verdict {
    fn new(
        result: &Result<VerifiedEvidence, Error>,
        trust_anchors: &TrustAnchors,
        genuine_at_its_own_time: impl FnOnce() -> bool,
    ) -> Self {
        let trust_anchor = |evidence: &VerifiedEvidence| {
            let found = trust_anchors.iter().find(|anchor| anchor.sha256() == evidence.trust_anchor_sha256());
            found.map(ToString::to_string)
        };
        let refusal = |error: &Error| Refusal {
            failed_step: error.step().name(),
            error: error.code(),
            message: error.to_string(),
            genuine_at_its_own_time: genuine_at_its_own_time(),
        };
        Self {
            verified: result.is_ok(),
            genuine: is_genuine(result),
            trust_anchor: result.as_ref().ok().and_then(trust_anchor),
            refused: result.as_ref().err().map(refusal),
        }
    }
}

/// Whether the path and the signature hold, whatever else may be refused.
fn is_genuine(result: &Result<VerifiedEvidence, Error>) -> bool {
    result.as_ref().err().is_none_or(|error| error.step() > Step::Signature)
}
