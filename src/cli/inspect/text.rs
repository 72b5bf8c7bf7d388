use std::fmt::{self, Write};

use crate::inspection::{Bytes, Certificate, CertificateContent, Claims, PcrClaim, Report, Verdict};

/// The report for people.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &Report) -> fmt::Result {
    write_verdict(out, &report.verdict, &report.at)?;
    let label = if report.verdict.genuine { "" } else { ", UNVERIFIED" };
    if let Some(claims) = report.claims.as_ref().or(report.unverified_claims.as_ref()) {
        write_claims(out, claims, label, &report.at)?;
    }
    if !report.warnings.is_empty() {
        writeln!(out, "\nwarnings")?;
    }
    report.warnings.iter().try_for_each(|warning| writeln!(out, "  {}: {}", warning.code, warning.message))
}

fn write_verdict(out: &mut String, verdict: &Verdict, at: &str) -> fmt::Result {
    let Some(refusal) = &verdict.refused else {
        let anchor = verdict.trust_anchor.as_deref().unwrap_or_default();
        return writeln!(out, "VERIFIED at {at}: genuine, fresh, not in debug mode, under {anchor}");
    };
    let (step, message) = (refusal.failed_step, &refusal.message);
    if verdict.genuine {
        writeln!(out, "GENUINE, AND REFUSED at the step {step}: {message}")?;
        return writeln!(out, "Its certificates and its signature hold at {at}.");
    }
    writeln!(out, "NOT VERIFIED, refused at the step {step}: {message}")?;
    if refusal.genuine_at_its_own_time {
        writeln!(out, "Its certificates and its signature held at its own time: judge it then by --at.")?;
    }
    writeln!(out, "Nothing below is proven: anyone can write such a document.")
}

fn write_claims(out: &mut String, claims: &Claims, label: &str, at: &str) -> fmt::Result {
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
    let tag = envelope.tag.map_or("untagged".to_owned(), |tag| format!("tag {tag}"));
    let algorithm = match envelope.is_es384 {
        true => "ES384".to_owned(),
        false => format!("protected header {}", envelope.protected),
    };
    let matches = match instance_id_matches_pcr4 {
        Some(true) => "PCR4 agrees",
        Some(false) => "PCR4 DISAGREES",
        None => "without PCR4",
    };

    writeln!(out, "\ndocument{label}")?;
    let (bytes, signature) = (envelope.bytes, envelope.signature_bytes);
    writeln!(
        out,
        "  envelope   {bytes} bytes, COSE_Sign1 {tag}, {algorithm}, signature of {signature} bytes"
    )?;
    writeln!(out, "  module     {module_id}")?;
    writeln!(out, "  instance   {instance_id} ({matches})")?;
    writeln!(out, "  region     {}", region.as_deref().unwrap_or("not in the name of the leaf"))?;
    writeln!(out, "  timestamp  {timestamp}, {} {at}", Age(*age_ms))?;
    writeln!(out, "  user_data  {}", Field(user_data.as_ref()))?;
    writeln!(out, "  nonce      {}", Field(nonce.as_ref()))?;

    writeln!(out, "\nPCRs{label}")?;
    write_pcrs(out, pcrs)?;

    writeln!(out, "\ncertificates{label}")?;
    certificates.iter().try_for_each(|certificate| write_certificate(out, certificate, at))?;

    writeln!(out, "\nrecipient key{label}")?;
    writeln!(out, "  {}", recipient_key.kind)?;
    match (&recipient_key.spki_sha256, &recipient_key.reason) {
        (Some(sha256), _) => writeln!(out, "  usable, SHA-256 of its SPKI {sha256}"),
        (None, reason) => writeln!(out, "  not usable: {}", reason.as_deref().unwrap_or_default()),
    }
}

/// Registers that hold something, each with its meaning; the rest in one line.
fn write_pcrs(out: &mut String, pcrs: &[PcrClaim]) -> fmt::Result {
    let is_shown = |pcr: &&PcrClaim| !pcr.is_zero || pcr.index <= 4 || pcr.index == 8;
    for PcrClaim { index, value, is_zero, meaning } in pcrs.iter().filter(is_shown) {
        let value = if *is_zero { "zero" } else { value };
        writeln!(out, "  {index:>2}  {meaning}: {value}")?;
    }
    let others: Vec<String> =
        pcrs.iter().filter(|pcr| !is_shown(pcr)).map(|pcr| pcr.index.to_string()).collect();
    if others.is_empty() { Ok(()) } else { writeln!(out, "  zero: {}", others.join(", ")) }
}

fn write_certificate(out: &mut String, certificate: &Certificate, at: &str) -> fmt::Result {
    let Certificate { position, content } = certificate;
    match content {
        CertificateContent::Malformed { malformed } => writeln!(out, "  {position}  malformed: {malformed}"),
        CertificateContent::Read {
            subject,
            not_before,
            not_after,
            is_valid,
            is_ca,
            path_len,
            key_usage,
            sha256,
        } => {
            let validity = if *is_valid { "valid" } else { "NOT VALID" };
            let role = match (is_ca, path_len) {
                (true, Some(length)) => format!("CA, pathlen {length}"),
                (true, None) => "CA".to_owned(),
                (false, _) => "no CA".to_owned(),
            };
            let usage = key_usage.as_ref().map_or("none".to_owned(), |names| names.join(", "));
            writeln!(out, "  {position}  {subject}")?;
            writeln!(out, "    {not_before} to {not_after}, {validity} at {at}")?;
            writeln!(out, "    {role}; keyUsage {usage}")?;
            writeln!(out, "    SHA-256 {sha256}")
        }
    }
}

/// Milliseconds as `4 s before`.
struct Age(i128);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 < 0 { "after" } else { "before" };
        write!(f, "{} s {side}", self.0.unsigned_abs() / 1000)
    }
}

/// A field that may be null, as hexadecimal.
struct Field<'a>(Option<&'a Bytes>);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("null"),
            Some(Bytes { bytes: 0, .. }) => f.write_str("0 bytes"),
            Some(Bytes { bytes, hex }) => write!(f, "{bytes} bytes: {hex}"),
        }
    }
}
