use serde::Serialize;

use crate::attestation::{Pcr, Requirements, UnverifiedDocument};
use crate::time::UnixTime;

/// What a reader should know besides the verdict.
#[derive(Debug, Serialize)]
pub struct Warning {
    /// A stable name.
    pub code: &'static str,
    /// What it is about.
    pub message: String,
}

pub(super) fn of(
    document: &UnverifiedDocument<'_>,
    now: UnixTime,
    requirements: &Requirements,
) -> Vec<Warning> {
    let all = [
        not_signed(document),
        debug_mode(document),
        unsigned_image(document),
        other_instance(document),
        age(document, now, requirements),
        no_recipient(document),
    ];
    all.into_iter().flatten().map(|(code, message)| Warning { code, message }).collect()
}

type Found = Option<(&'static str, String)>;

fn not_signed(document: &UnverifiedDocument<'_>) -> Found {
    let signature = document.envelope().signature;
    let is_signed = document.envelope().is_es384() && signature.iter().any(|byte| *byte != 0);
    (!is_signed).then(|| {
        (
            "not_signed",
            "no signature with ES384 is on it, as with a document of an emulated enclave".to_owned(),
        )
    })
}

fn debug_mode(document: &UnverifiedDocument<'_>) -> Found {
    let zero: Vec<String> = [0, 1, 2]
        .into_iter()
        .filter(|index| document.pcrs().get(*index).is_none_or(Pcr::is_zero))
        .map(|index| format!("PCR{index}"))
        .collect();
    (!zero.is_empty()).then(|| {
        let message = format!(
            "debug mode: all zeros in {}; anyone on the parent instance can read the enclave's memory",
            zero.join(", ")
        );
        ("debug_mode", message)
    })
}

fn unsigned_image(document: &UnverifiedDocument<'_>) -> Found {
    let state = match document.pcrs().get(8) {
        None => "absent",
        Some(pcr) if pcr.is_zero() => "zero",
        Some(_) => return None,
    };
    Some((
        "image_not_signed",
        format!("PCR8 is {state}: the image is not signed, so no policy can ask by whom"),
    ))
}

fn other_instance(document: &UnverifiedDocument<'_>) -> Found {
    let instance = document.instance_id();
    match document.instance_id_matches_pcr4() {
        Some(true) => None,
        Some(false) => Some(("pcr4_mismatch", format!("PCR4 is not that of the instance {instance}"))),
        None => Some(("pcr4_absent", format!("no PCR4 confirms the instance {instance}"))),
    }
}

fn age(document: &UnverifiedDocument<'_>, now: UnixTime, requirements: &Requirements) -> Found {
    let made = document.timestamp();
    if now > made.saturating_add(requirements.max_age) {
        let seconds = requirements.max_age.as_secs();
        Some(("stale", format!("older than the {seconds} s that a broker accepts by default")))
    } else if made > now.saturating_add(requirements.max_ahead) {
        let seconds = requirements.max_ahead.as_secs();
        Some((
            "from_the_future",
            format!("dated further ahead than the {seconds} s that a broker accepts by default"),
        ))
    } else {
        None
    }
}

fn no_recipient(document: &UnverifiedDocument<'_>) -> Found {
    let error = document.recipient_spki_sha256().err()?;
    Some(("no_recipient", format!("no key can be released to it: {error}")))
}
