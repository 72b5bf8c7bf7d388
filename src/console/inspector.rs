//! The document inspector: what a document says, and what each step of its verification comes to.

use std::borrow::Cow;

use hyper::StatusCode;
use maud::{Markup, html};

use super::page::Section;
use super::parts::{badge, whole_digest};
use super::request::Parameters;
use super::simulator::{Described, Problem};
use super::{Console, Failure, Visit};
use crate::attestation::{self, Error, UnverifiedDocument};
use crate::inspection::{
    Bytes, Certificate, CertificateContent, Claims, RecipientKeyClaim, Report, StepFinding, StepStatus,
    Warning, decode, steps,
};
use crate::server::Response;
use crate::time::UnixTime;

/// Bytes of a field that are shown of a document at most.
const MAX_SHOWN_BYTES: usize = 4096;

/// What the form asks, as it was typed.
struct Asked<'f> {
    document: &'f str,
    at: &'f str,
    request: Described<'f>,
}

/// What there is to say about it.
struct Answered {
    status: StatusCode,
    problem: Option<String>,
    findings: Markup,
}

impl Visit<'_> {
    /// The empty form.
    pub(super) async fn inspector_page(&self) -> Result<Response, Failure> {
        let asked = Asked {
            document: "",
            at: "",
            request: Described { key: self.request.query.get("key"), ..Described::NOTHING },
        };
        let answered = Answered { status: StatusCode::OK, problem: None, findings: html! {} };
        self.inspector(&asked, &answered).await
    }

    /// The form with what there is to say about what is in it.
    pub(super) async fn inspect(&self, form: &Parameters) -> Result<Response, Failure> {
        let asked = Asked {
            document: form.get("document").trim(),
            at: form.get("at").trim(),
            request: Described::read(form),
        };
        let answered = match self.judge(&asked).await? {
            Ok(findings) => Answered { status: StatusCode::OK, problem: None, findings },
            Err(problem) => Answered {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                problem: Some(problem),
                findings: html! {},
            },
        };
        self.inspector(&asked, &answered).await
    }

    async fn judge(&self, asked: &Asked<'_>) -> Result<Result<Markup, Problem>, Failure> {
        let at = match asked.at {
            "" => self.now,
            text => match UnixTime::parse_rfc3339(text) {
                Ok(at) => at,
                Err(error) => return Ok(Err(error.to_string())),
            },
        };
        if asked.document.is_empty() && asked.request.key.is_empty() {
            return Ok(Err(
                "There is neither a document to inspect nor a key to simulate a decision about.".to_owned()
            ));
        }
        let bytes = decode(asked.document.as_bytes().to_vec());
        let document = UnverifiedDocument::parse(&bytes).ok();
        let simulated = match asked.request.key {
            "" => html! {},
            _ => match self.simulate(&asked.request, document.as_ref(), at).await? {
                Ok(simulated) => simulated,
                Err(problem) => return Ok(Err(problem)),
            },
        };
        let (findings, is_believed) = match asked.document {
            "" => (html! {}, true),
            _ => self.console.findings(&bytes, at),
        };
        Ok(Ok(html! {
            @if !is_believed && !asked.request.key.is_empty() {
                p.problem {
                    "The document is refused, so no policy would be asked. The simulated decision takes what it claims as if it were proven."
                }
            }
            (simulated)
            (findings)
        }))
    }

    async fn inspector(&self, asked: &Asked<'_>, answered: &Answered) -> Result<Response, Failure> {
        let Answered { status, problem, findings } = answered;
        let described_by = problem.as_ref().map(|_| "problem");
        let content = html! {
            h1 { "Document inspector" }
            p.lead {
                "What an attestation document says, whether it is believed, and what would be decided. Nothing is kept."
            }
            form.panel.inspector method="post" action="/inspector" data-drop="document" {
                @if let Some(problem) = problem { p.problem role="alert" #problem { (problem) } }
                label for="document" { "Attestation document in base64" }
                textarea #document name="document" rows="5" spellcheck="false" autocomplete="off"
                    aria-describedby=[described_by] placeholder="hEShATgioFkR…" { (asked.document) }
                (self.simulator_fields(&asked.request).await?)
                div.row {
                    div.field {
                        label for="at" { "Judge it at" }
                        input #at name="at" type="text" value=(asked.at) autocomplete="off"
                            placeholder="now, or 2026-01-03T20:41:07Z" aria-describedby=[described_by];
                    }
                    button.primary type="submit" { "Inspect" }
                }
            }
            (findings)
        };
        Ok(self.page(*status, Section::Inspector, "Document inspector", &content))
    }
}

impl Console {
    /// Verdict, steps, warnings and claims, and whether the document is believed.
    fn findings(&self, bytes: &[u8], at: UnixTime) -> (Markup, bool) {
        let result = attestation::verify(bytes, &self.trust_anchors, at, &self.requirements);
        let steps = steps(&result, &self.trust_anchors, at);
        let document = UnverifiedDocument::parse(bytes);
        let report = document
            .as_ref()
            .ok()
            .map(|document| Report::new(bytes, document, &self.trust_anchors, at, &self.requirements));
        let findings = html! {
            section.panel aria-labelledby="verdict" {
                h2 #verdict { "Verdict" }
                (verdict(report.as_ref(), &result))
                (step_table(&steps))
                @if let Some(report) = &report { (warnings(&report.warnings)) }
            }
            @if let Some(report) = &report {
                @if let Some(claims) = report.claims.as_ref().or(report.unverified_claims.as_ref()) {
                    (claimed(claims, report.verdict.genuine))
                }
            }
        };
        (findings, result.is_ok())
    }
}

fn verdict<T>(report: Option<&Report>, result: &Result<T, Error>) -> Markup {
    let Err(error) = result else {
        return html! {
            p.verdict.allowed { (badge("allowed", "✓", "Verified")) " Genuine, fresh and not in debug mode." }
        };
    };
    let is_genuine = report.is_some_and(|report| report.verdict.genuine);
    let own_time = report
        .and_then(|report| report.verdict.refused.as_ref())
        .is_some_and(|refusal| refusal.genuine_at_its_own_time);
    html! {
        p.verdict.denied {
            (badge("denied", "✕", if is_genuine { "Genuine, and refused" } else { "Not verified" }))
            " Refused at the step " strong { (error.step().name()) } ": " (error)
        }
        @if is_genuine {
            p { "Its certificates and its signature hold at that time." }
        } @else if own_time {
            p { "Its certificates and its signature held at its own time: judge it at that to see the rest proven." }
        }
    }
}

fn step_table(steps: &[StepFinding]) -> Markup {
    html! {
        table.steps {
            caption.hidden { "Steps of the verification, in their order" }
            thead { tr { th scope="col" { "Step" } th scope="col" { "Result" } th scope="col" { "Found" } } }
            tbody {
                @for StepFinding { step, status, found } in steps {
                    tr {
                        th scope="row" { (step.name()) }
                        td {
                            @match status {
                                StepStatus::Passed => { (badge("allowed", "✓", "passed")) }
                                StepStatus::Refused => { (badge("denied", "✕", "refused")) }
                                StepStatus::NotReached => { (badge("note", "–", "not reached")) }
                            }
                        }
                        td { (found) }
                    }
                }
            }
        }
    }
}

fn warnings(warnings: &[Warning]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            h3 { "Warnings" }
            ul.warnings {
                @for Warning { code, message } in warnings {
                    li { (badge("malformed", "!", code)) " " (message) }
                }
            }
        }
    }
}

/// What the document says of itself, labelled where it is not proven.
fn claimed(claims: &Claims, is_genuine: bool) -> Markup {
    let Claims {
        envelope,
        module_id,
        instance_id,
        instance_id_matches_pcr4,
        region,
        timestamp,
        age_ms,
        pcrs,
        certificates,
        recipient_key,
        user_data,
        nonce,
    } = claims;
    let label = || html! { @if !is_genuine { " " (badge("denied", "✕", "unverified")) } };
    let matches = match instance_id_matches_pcr4 {
        Some(true) => "PCR4 agrees",
        Some(false) => "PCR4 disagrees",
        None => "without PCR4",
    };
    html! {
        section.panel aria-labelledby="claims" {
            h2 #claims { "Document" (label()) }
            @if !is_genuine { p { "Nothing below is proven: anyone can write such a document." } }
            dl.facts {
                dt { "Module" } dd { code { (module_id) } }
                dt { "Instance" } dd { code { (instance_id) } " (" (matches) ")" }
                dt { "Region" } dd { (region.as_deref().unwrap_or("not in the name of the leaf")) }
                dt { "Timestamp" } dd { (timestamp) ", " (age(*age_ms)) }
                dt { "Envelope" }
                dd {
                    (envelope.bytes) " bytes, "
                    @if envelope.is_es384 { "ES384" } @else { "protected header " code { (envelope.protected) } }
                    ", signature of " (envelope.signature_bytes) " bytes"
                }
                dt { "Recipient key" } dd { (key(recipient_key)) }
                dt { "user_data" } dd { (field(user_data.as_ref())) }
                dt { "nonce" } dd { (field(nonce.as_ref())) }
            }
        }
        section.panel aria-labelledby="pcrs" {
            h2 #pcrs { "PCRs" (label()) }
            div.table-frame tabindex="0" role="group" aria-label="PCRs" {
                table {
                    caption.hidden { "Platform configuration registers that hold something" }
                    thead { tr { th scope="col" { "PCR" } th scope="col" { "Measures" } th scope="col" { "Value" } } }
                    tbody {
                        @for pcr in pcrs.iter().filter(|pcr| !pcr.is_zero || pcr.index <= 4 || pcr.index == 8) {
                            tr {
                                th scope="row" { "PCR" (pcr.index) }
                                td { (pcr.meaning) }
                                td { @if pcr.is_zero { span.muted { "all zeros" } } @else { (whole_digest(&pcr.value)) } }
                            }
                        }
                    }
                }
            }
        }
        section.panel aria-labelledby="chain" {
            h2 #chain { "Certificate chain" (label()) }
            div.table-frame tabindex="0" role="group" aria-label="Certificate chain" {
                table {
                    caption.hidden { "Certificates from the root to the leaf" }
                    thead { tr {
                        th scope="col" { "Position" }
                        th scope="col" { "Subject" }
                        th scope="col" { "Valid" }
                        th scope="col" { "SHA-256" }
                    } }
                    tbody { @for certificate in certificates { (certificate_row(certificate)) } }
                }
            }
        }
    }
}

fn certificate_row(certificate: &Certificate) -> Markup {
    html! {
        tr {
            th scope="row" { (certificate.position) }
            @match &certificate.content {
                CertificateContent::Read { subject, not_before, not_after, is_valid, is_ca, sha256, .. } => {
                    td { (subject) @if *is_ca { " " span.muted.small { "CA" } } }
                    td {
                        @if *is_valid { (badge("allowed", "✓", "valid")) } @else { (badge("denied", "✕", "not at that time")) }
                        div.small { "from " (not_before) } div.small { "until " (not_after) }
                    }
                    td { (super::parts::digest(sha256)) }
                }
                CertificateContent::Malformed { malformed } => { td colspan="3" { "malformed: " (malformed) } }
            }
        }
    }
}

fn key(claim: &RecipientKeyClaim) -> Markup {
    html! {
        (claim.kind) ", "
        @match (&claim.spki_sha256, &claim.reason) {
            (Some(sha256), _) => { "SHA-256 of its SPKI " (super::parts::digest(sha256)) }
            (None, reason) => { "not usable: " (reason.as_deref().unwrap_or_default()) }
        }
    }
}

/// A byte string, as text too where it is some.
fn field(bytes: Option<&Bytes>) -> Markup {
    let Some(Bytes { bytes, hex }) = bytes else { return html! { span.muted { "none" } } };
    let shown: Cow<'_, str> = match hex.get(..2 * MAX_SHOWN_BYTES) {
        Some(start) => format!("{start}…").into(),
        None => hex.into(),
    };
    let decoded = hex::decode(hex).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.filter(|text| text.len() <= MAX_SHOWN_BYTES && !text.chars().any(char::is_control));
    html! {
        @if let Some(text) = text.filter(|text| !text.is_empty()) { q { (text) } " " }
        code.digest.whole { (shown) } " (" (bytes) " bytes)"
    }
}

fn age(ms: i128) -> String {
    let seconds = ms.unsigned_abs() / 1000;
    let span =
        super::parts::duration(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)));
    if ms < 0 { format!("{span} ahead") } else { format!("{span} old") }
}
