use crate::attestation::{Error, Step, TrustAnchors, VerifiedEvidence};
use crate::time::UnixTime;

/// What a document is judged by beyond being genuine; a recipient key is not required of it.
pub const STEPS: [Step; 6] =
    [Step::Cose, Step::Payload, Step::Path, Step::Signature, Step::Freshness, Step::DebugMode];

/// What one step of verification came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFinding {
    /// The step.
    pub step: Step,
    /// Whether the document passed it.
    pub status: StepStatus,
    /// What a passed step found in verified evidence, or why the step refuses; else empty.
    pub found: String,
}

/// Whether a document passed a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// It did.
    Passed,
    /// The step refuses it.
    Refused,
    /// An earlier step refused it.
    NotReached,
}

impl StepStatus {
    /// A stable name for machine output.
    pub const fn name(self) -> &'static str {
        match self {
            StepStatus::Passed => "ok",
            StepStatus::Refused => "refused",
            StepStatus::NotReached => "not reached",
        }
    }
}

/// What each of [`STEPS`] came to.
pub fn steps(
    result: &Result<VerifiedEvidence, Error>,
    trust_anchors: &TrustAnchors,
    now: UnixTime,
) -> Vec<StepFinding> {
    STEPS
        .into_iter()
        .map(|step| {
            let (status, found) = match result {
                Err(error) if step == error.step() => (StepStatus::Refused, error.to_string()),
                Err(error) if step > error.step() => (StepStatus::NotReached, String::new()),
                Err(_) => (StepStatus::Passed, String::new()),
                Ok(evidence) => (StepStatus::Passed, found(step, evidence, trust_anchors, now)),
            };
            StepFinding { step, status, found }
        })
        .collect()
}

/// The root that evidence leads to.
pub fn trust_anchor(evidence: &VerifiedEvidence, trust_anchors: &TrustAnchors) -> Option<String> {
    let found = trust_anchors.iter().find(|anchor| anchor.sha256() == evidence.trust_anchor_sha256());
    found.map(ToString::to_string)
}

/// What a passed step found.
fn found(step: Step, evidence: &VerifiedEvidence, trust_anchors: &TrustAnchors, now: UnixTime) -> String {
    match step {
        Step::Cose => "COSE_Sign1, ES384".to_owned(),
        Step::Payload => format!("{}, {} PCRs", evidence.module_id(), evidence.pcrs().count()),
        Step::Path => {
            format!("valid at {now}, under {}", trust_anchor(evidence, trust_anchors).unwrap_or_default())
        }
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
