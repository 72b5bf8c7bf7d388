use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::document::{read_document, trust_anchors};
use super::error::CliError;
use super::output::{print_json, print_line};
use crate::attestation::{self, Requirements, Step, TrustAnchors, VerifiedEvidence};
use crate::time::UnixTime;

/// What a document is judged by beyond being genuine; a recipient key is not required of it.
const STEPS: [Step; 6] =
    [Step::Cose, Step::Payload, Step::Path, Step::Signature, Step::Freshness, Step::DebugMode];

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
    for step in STEPS {
        let (mark, found) = match result {
            Err(error) if step == error.step() => ("REFUSED", error.to_string()),
            Err(error) if step > error.step() => ("-", String::new()),
            Err(_) => ("ok", String::new()),
            Ok(evidence) => ("ok", found(step, evidence, trust_anchors, now)),
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

/// What a passed step found.
fn found(step: Step, evidence: &VerifiedEvidence, trust_anchors: &TrustAnchors, now: UnixTime) -> String {
    match step {
        Step::Cose => "COSE_Sign1, ES384".to_owned(),
        Step::Payload => format!("{}, {} PCRs", evidence.module_id(), evidence.pcrs().count()),
        Step::Path => format!("valid at {now}, under {}", anchor(evidence, trust_anchors)),
        Step::Signature => "by the leaf certificate's key".to_owned(),
        Step::Freshness => {
            let age_ms = now.as_ms().saturating_sub(evidence.timestamp().as_ms());
            format!("made {}, {} s before {now}", evidence.timestamp(), age_ms / 1000)
        }
        Step::DebugMode => match evidence.pcrs().get(0) {
            Some(pcr) if pcr.is_zero() => "DEBUG MODE, accepted by --allow-debug".to_owned(),
            _ => "off".to_owned(),
        },
        Step::RecipientKey => String::new(),
    }
}

fn anchor(evidence: &VerifiedEvidence, trust_anchors: &TrustAnchors) -> String {
    let found = trust_anchors.iter().find(|anchor| anchor.sha256() == evidence.trust_anchor_sha256());
    found.map(ToString::to_string).unwrap_or_default()
}

fn report(
    result: &Result<VerifiedEvidence, attestation::Error>,
    trust_anchors: &TrustAnchors,
    now: UnixTime,
) -> Value {
    let steps: Vec<Value> = STEPS
        .into_iter()
        .map(|step| {
            let status = match result {
                Err(error) if step == error.step() => "refused",
                Err(error) if step > error.step() => "not reached",
                _ => "ok",
            };
            json!({"step": step.name(), "status": status})
        })
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
            "trustAnchor": anchor(evidence, trust_anchors),
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
