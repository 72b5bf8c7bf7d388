use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::document::{read_document, trust_anchors};
use super::error::CliError;
use super::output::{print_json, print_line};
use crate::attestation::{self, Requirements, TrustAnchors, VerifiedEvidence};
use crate::inspection::{self, StepFinding, StepStatus};
use crate::time::UnixTime;

/// Verify an attestation document offline and show what each step found.
///
/// Exit status 0 only for genuine, fresh evidence; 1 when a step refuses it, named; 2 when the command line is wrong or
/// the file cannot be read.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The document: a file, binary or base64, or - for standard input.
    #[arg(value_name = "DOC")]
    document: PathBuf,

    /// Judge it at this time instead of now, such as 2025-01-06T16:07:05Z.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    at: Option<UnixTime>,

    /// Judge it under this root (PEM) instead of that of AWS.
    #[arg(long, value_name = "PEM")]
    root: Option<PathBuf>,

    /// Accept an enclave in debug mode.
    #[arg(long)]
    allow_debug: bool,

    /// How old the document may be.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    max_age: u64,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        let document = read_document(&self.document)?;
        let trust_anchors = trust_anchors(self.root.as_deref())?;
        let now = self.at.unwrap_or_else(UnixTime::now);
        let requirements = Requirements {
            max_age: Duration::from_secs(self.max_age),
            allow_debug: self.allow_debug,
            ..Requirements::default()
        };
        let result = attestation::verify(&document, &trust_anchors, now, &requirements);
        if self.json {
            print_json(&report(&result, &trust_anchors, now))?;
        } else {
            print_steps(&result, &trust_anchors, now)?;
        }
        result.map(|_| ()).map_err(|error| refusal(&error, self.at.is_none()))
    }
}

fn refusal(error: &attestation::Error, judged_now: bool) -> CliError {
    let refused = CliError::failed(format!("refused at the step {}: {error}", error.step().name()));
    match error.code() {
        "path_expired" | "stale" if judged_now => {
            refused.hint("to judge a recorded document at the time it was made, pass --at")
        }
        "debug_mode" => refused.hint("pass --allow-debug to accept debug mode"),
        "path_untrusted_root" => refused.hint("a document under another root than that of AWS needs --root"),
        _ => refused,
    }
}

fn print_steps(
    result: &Result<VerifiedEvidence, attestation::Error>,
    trust_anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<(), CliError> {
    for StepFinding { step, status, found } in inspection::steps(result, trust_anchors, now) {
        let mark = match status {
            StepStatus::Passed => "ok",
            StepStatus::Refused => "REFUSED",
            StepStatus::NotReached => "-",
        };
        print_line(format!("{:<12} {mark:<8} {found}", step.name()).trim_end())?;
    }
    let Ok(evidence) = result else { return Ok(()) };
    print_line("")?;
    for (index, pcr) in evidence.pcrs().iter().filter(|(_, pcr)| !pcr.is_zero()) {
        print_line(&format!("PCR{index:<2} {}", pcr.to_hex()))?;
    }
    for (name, value) in [("user_data", evidence.user_data()), ("nonce", evidence.nonce())] {
        if let Some(value) = value {
            print_line(&format!("{name} {} ({} bytes)", hex::encode(value), value.len()))?;
        }
    }
    match evidence.recipient_key() {
        Ok(key) => {
            print_line(&format!("recipient key: RSA, SHA-256 of its SPKI {}", hex::encode(key.spki_sha256())))
        }
        Err(error) => {
            print_line(&format!("recipient key: none usable, so no key can be released to it: {error}"))
        }
    }
}

fn report(
    result: &Result<VerifiedEvidence, attestation::Error>,
    trust_anchors: &TrustAnchors,
    now: UnixTime,
) -> Value {
    let steps: Vec<Value> = inspection::steps(result, trust_anchors, now)
        .iter()
        .map(|finding| json!({"step": finding.step.name(), "status": finding.status.name()}))
        .collect();
    match result {
        Err(error) => json!({
            "genuine": false,
            "at": now.to_string(),
            "steps": steps,
            "failedStep": error.step().name(),
            "error": error.code(),
            "message": error.to_string(),
        }),
        Ok(evidence) => json!({
            "genuine": true,
            "at": now.to_string(),
            "steps": steps,
            "trustAnchor": inspection::trust_anchor(evidence, trust_anchors).unwrap_or_default(),
            "moduleId": evidence.module_id(),
            "instanceId": evidence.instance_id(),
            "timestamp": evidence.timestamp().to_string(),
            "pcrs": evidence.pcrs().iter()
                .map(|(index, pcr)| (index.to_string(), json!(pcr.to_hex())))
                .collect::<serde_json::Map<_, _>>(),
            "userData": evidence.user_data().map(hex::encode),
            "nonce": evidence.nonce().map(hex::encode),
            "recipientKey": match evidence.recipient_key() {
                Ok(key) => json!({"usable": true, "spkiSha256": hex::encode(key.spki_sha256())}),
                Err(error) => json!({"usable": false, "reason": error.to_string()}),
            },
        }),
    }
}
