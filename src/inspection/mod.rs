//! What there is to show of an attestation document, for the command line and the console alike.
//!
//! [`Report`] says what a document claims, genuine or not, and keeps apart what is not proven; [`steps()`] says what each
//! step of its verification found. Both are values: how they look is for whoever shows them.

mod claims;
mod steps;
mod warnings;

use serde::Serialize;

use crate::attestation::{
    self, Error, Requirements, Step, TrustAnchors, UnverifiedDocument, VerifiedEvidence,
};
use crate::time::UnixTime;

pub use claims::{Bytes, Certificate, CertificateContent, Claims, Envelope, PcrClaim, RecipientKeyClaim};
pub use steps::{STEPS, StepFinding, StepStatus, steps, trust_anchor};
pub use warnings::Warning;

/// All that a document says, and what is proven of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The time that it is judged at, RFC 3339.
    pub at: String,
    /// Whether it is believed.
    pub verdict: Verdict,
    /// What AWS's hypervisor signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// What anyone may have written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified_claims: Option<Claims>,
    /// What a reader should know besides the verdict.
    pub warnings: Vec<Warning>,
}

/// Whether a document is believed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Genuine, fresh and not in debug mode.
    pub verified: bool,
    /// The path and the signature hold at that time.
    pub genuine: bool,
    /// The root that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_anchor: Option<String>,
    /// Why it is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// Why a document is refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The name of the step that refuses it.
    pub failed_step: &'static str,
    /// The stable name of the error.
    pub error: &'static str,
    /// What is wrong, with expected and actual.
    pub message: String,
    /// Whether the path and the signature hold at the time that the document claims for itself.
    pub genuine_at_its_own_time: bool,
}

impl Report {
    /// What `document`, read from `bytes`, says, judged at `now`.
    pub fn new(
        bytes: &[u8],
        document: &UnverifiedDocument<'_>,
        trust_anchors: &TrustAnchors,
        now: UnixTime,
        requirements: &Requirements,
    ) -> Self {
        let verify = |now| attestation::verify(bytes, trust_anchors, now, requirements);
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
            warnings: warnings::of(document, now, requirements),
        }
    }
}

impl Verdict {
    fn new(
        result: &Result<VerifiedEvidence, Error>,
        trust_anchors: &TrustAnchors,
        genuine_at_its_own_time: impl FnOnce() -> bool,
    ) -> Self {
        let refusal = |error: &Error| Refusal {
            failed_step: error.step().name(),
            error: error.code(),
            message: error.to_string(),
            genuine_at_its_own_time: genuine_at_its_own_time(),
        };
        Self {
            verified: result.is_ok(),
            genuine: is_genuine(result),
            trust_anchor: result.as_ref().ok().and_then(|evidence| trust_anchor(evidence, trust_anchors)),
            refused: result.as_ref().err().map(refusal),
        }
    }
}

/// Whether the path and the signature hold, whatever else may be refused.
fn is_genuine(result: &Result<VerifiedEvidence, Error>) -> bool {
    result.as_ref().err().is_none_or(|error| error.step() > Step::Signature)
}

/// The bytes of a document that is perhaps written in base64. No document is: it starts with a byte above ASCII.
pub fn decode(input: Vec<u8>) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let text: Vec<u8> = input.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if text.is_ascii()
        && let Ok(decoded) = STANDARD.decode(&text)
    {
        decoded
    } else {
        input
    }
}
