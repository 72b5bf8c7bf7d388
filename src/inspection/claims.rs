use serde::Serialize;

use crate::attestation::{PCR_COUNT, UnverifiedDocument};
use crate::time::UnixTime;
use crate::x509::CertificateSummary;

/// The fields of a document, as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The COSE_Sign1 around the payload.
    pub envelope: Envelope,
    /// The enclave, by its parent instance and a number.
    pub module_id: String,
    /// The parent instance that `module_id` names.
    pub instance_id: String,
    /// Null without PCR4.
    pub instance_id_matches_pcr4: Option<bool>,
    /// The region in the name of the leaf certificate.
    pub region: Option<String>,
    /// When the document was made, RFC 3339.
    pub timestamp: String,
    /// Negative where the document is dated ahead.
    pub age_ms: i128,
    /// The registers that the document has, by index.
    pub pcrs: Vec<PcrClaim>,
    /// The chain from the root to the leaf.
    pub certificates: Vec<Certificate>,
    /// The key that an answer would be encrypted to.
    pub recipient_key: RecipientKeyClaim,
    /// What the enclave put in.
    pub user_data: Option<Bytes>,
    /// What the enclave put in, as a rule for freshness.
    pub nonce: Option<Bytes>,
}

/// The COSE_Sign1 around the payload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Length of the document.
    pub bytes: usize,
    /// Its CBOR tag.
    pub tag: Option<u64>,
    /// Whether its protected header names ES384.
    pub is_es384: bool,
    /// Its protected header, in hexadecimal.
    pub protected: String,
    /// Length of the signature.
    pub signature_bytes: usize,
}

/// One platform configuration register.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PcrClaim {
    /// 0 to 31.
    pub index: u8,
    /// SHA-384, in hexadecimal.
    pub value: String,
    /// Whether nothing is measured into it.
    pub is_zero: bool,
    /// What is measured into it.
    pub meaning: &'static str,
}

/// One certificate of the document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// `cabundle[0]` … `certificate`.
    pub position: String,
    /// What it says.
    #[serde(flatten)]
    pub content: CertificateContent,
}

/// What there is to read of a certificate.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum CertificateContent {
    /// It could be read.
    #[serde(rename_all = "camelCase")]
    Read {
        /// Its distinguished name.
        subject: String,
        /// From when on it is valid, RFC 3339.
        not_before: String,
        /// Until when it is valid, RFC 3339.
        not_after: String,
        /// Whether it is valid at the time of the report.
        is_valid: bool,
        /// Whether it may certify others.
        is_ca: bool,
        /// CA certificates that may follow below it at most.
        path_len: Option<u32>,
        /// What its key is for.
        key_usage: Option<Vec<&'static str>>,
        /// Of its DER.
        sha256: String,
    },
    /// It could not.
    Malformed {
        /// Why.
        malformed: String,
    },
}

/// The key that an answer would be encrypted to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipientKeyClaim {
    /// What kind of key it is.
    pub kind: String,
    /// Whether an answer can be encrypted to it.
    pub usable: bool,
    /// SHA-256 of its SubjectPublicKeyInfo, where usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spki_sha256: Option<String>,
    /// Why it is not usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The member as it stands in the document.
    pub public_key: Option<Bytes>,
}

/// A byte string.
#[derive(Debug, Serialize)]
pub struct Bytes {
    /// Their number.
    pub bytes: usize,
    /// Themselves, in hexadecimal.
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
