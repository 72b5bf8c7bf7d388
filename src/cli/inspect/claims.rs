use serde::Serialize;

use crate::attestation::{PCR_COUNT, UnverifiedDocument};
use crate::time::UnixTime;
use crate::x509::CertificateSummary;

/// The fields of a document, as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claims {
    pub envelope: Envelope,
    pub module_id: String,
    pub instance_id: String,
    /// Null without PCR4.
    pub instance_id_matches_pcr4: Option<bool>,
    pub region: Option<String>,
    pub timestamp: String,
    /// Negative where the document is dated ahead.
    pub age_ms: i128,
    pub pcrs: Vec<PcrClaim>,
    pub certificates: Vec<Certificate>,
    pub recipient_key: RecipientKeyClaim,
    pub user_data: Option<Bytes>,
    pub nonce: Option<Bytes>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub bytes: usize,
    pub tag: Option<u64>,
    pub is_es384: bool,
    pub protected: String,
    pub signature_bytes: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PcrClaim {
    pub index: u8,
    pub value: String,
    pub is_zero: bool,
    pub meaning: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certificate {
    /// `cabundle[0]` … `certificate`.
    pub position: String,
    #[serde(flatten)]
    pub content: CertificateContent,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum CertificateContent {
    #[serde(rename_all = "camelCase")]
    Read {
        subject: String,
        not_before: String,
        not_after: String,
        is_valid: bool,
        is_ca: bool,
        path_len: Option<u32>,
        key_usage: Option<Vec<&'static str>>,
        sha256: String,
    },
    Malformed {
        malformed: String,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecipientKeyClaim {
    pub kind: String,
    pub usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spki_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub public_key: Option<Bytes>,
}

#[derive(Debug, Serialize)]
pub(super) struct Bytes {
    pub bytes: usize,
    pub hex: String,
}

impl Claims {
    pub(super) fn of(bytes: &[u8], document: &UnverifiedDocument<'_>, now: UnixTime) -> Self {
        let envelope = document.envelope();
        Self {
            envelope: Envelope {
                bytes: bytes.len(),
                tag: envelope.tag,
                is_es384: envelope.is_es384(),
                protected: hex::encode(envelope.protected),
                signature_bytes: envelope.signature.len(),
            },
            module_id: document.module_id().to_owned(),
            instance_id: document.instance_id().to_owned(),
            instance_id_matches_pcr4: document.instance_id_matches_pcr4(),
            region: document.region(),
            timestamp: document.timestamp().to_string(),
            age_ms: i128::from(now.as_ms()) - i128::from(document.timestamp().as_ms()),
            pcrs: pcrs(document),
            certificates: certificates(document, now),
            recipient_key: RecipientKeyClaim::of(document),
            user_data: document.user_data().map(Bytes::of),
            nonce: document.nonce().map(Bytes::of),
        }
    }
}

impl RecipientKeyClaim {
    fn of(document: &UnverifiedDocument<'_>) -> Self {
        let usable = document.recipient_spki_sha256();
        Self {
            kind: document.public_key_kind().to_string(),
            usable: usable.is_ok(),
            reason: usable.as_ref().err().map(ToString::to_string),
            spki_sha256: usable.ok().map(hex::encode),
            public_key: document.public_key().map(Bytes::of),
        }
    }
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len(), hex: hex::encode(bytes) }
    }
}

fn pcrs(document: &UnverifiedDocument<'_>) -> Vec<PcrClaim> {
    document
        .pcrs()
        .iter()
        .map(|(index, pcr)| PcrClaim {
            index,
            value: pcr.to_hex(),
            is_zero: pcr.is_zero(),
            meaning: meaning(index),
        })
        .collect()
}

/// What is measured into a register (Nitro Enclaves user guide, *Where to get an enclave's measurements*).
const fn meaning(index: u8) -> &'static str {
    const LAST: u8 = PCR_COUNT as u8 - 1;
    match index {
        0 => "the whole image",
        1 => "kernel and boot ramdisk",
        2 => "the application",
        3 => "IAM role of the parent instance",
        4 => "id of the parent instance",
        8 => "certificate that signed the image",
        5..=15 => "unused",
        16..=LAST => "the application's own",
        _ => "no register",
    }
}

fn certificates(document: &UnverifiedDocument<'_>, now: UnixTime) -> Vec<Certificate> {
    document
        .certificates()
        .map(|(position, der)| Certificate {
            position: position.to_string(),
            content: match CertificateSummary::parse(der) {
                Ok(summary) => CertificateContent::read(summary, now),
                Err(malformed) => CertificateContent::Malformed { malformed },
            },
        })
        .collect()
}

impl CertificateContent {
    fn read(summary: CertificateSummary, now: UnixTime) -> Self {
        let CertificateSummary { subject, common_name: _, validity, is_ca, path_len, key_usage, sha256 } =
            summary;
        Self::Read {
            subject,
            not_before: validity.not_before.to_string(),
            not_after: validity.not_after.to_string(),
            is_valid: validity.contains(now),
            is_ca,
            path_len,
            key_usage,
            sha256: hex::encode(sha256),
        }
    }
}
