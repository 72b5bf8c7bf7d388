//! The enclave whose evidence was verified.

use serde::{Serialize, Serializer};

use crate::attestation::{Pcr, VerifiedEvidence};

/// What verified evidence says about the enclave: the registers that CloudTrail shows, PCR0 by the name of the image
/// digest, and what the broker adds: the others that anything was measured into, and the indices of the rest.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RecipientFacts {
    #[serde(rename = "attestationDocumentModuleId")]
    module_id: String,
    #[serde(rename = "attestationDocumentEnclaveImageDigest", skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
    #[serde(flatten)]
    pcrs: RecordedPcrs,
    #[serde(rename = "attestationDocumentZeroPCRs", skip_serializing_if = "Vec::is_empty")]
    zero_pcrs: Vec<u8>,
    #[serde(rename = "attestationDocumentTimestamp")]
    timestamp: String,
    #[serde(rename = "attestationDocumentTrustAnchorSha256")]
    trust_anchor_sha256: String,
}

/// Registers by the indices in their members' names.
#[derive(Clone, Debug)]
struct RecordedPcrs(Vec<(u8, Pcr)>);

impl Serialize for RecordedPcrs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = |index| format!("attestationDocumentEnclavePCR{index}");
        serializer.collect_map(self.0.iter().map(|(index, pcr)| (name(index), pcr.to_hex())))
    }
}

/// Registers that are shown whatever they hold, as CloudTrail does.
const ALWAYS_SHOWN: [u8; 6] = [0, 1, 2, 3, 4, 8];

impl RecipientFacts {
    pub(super) fn of(evidence: &VerifiedEvidence) -> Self {
        let (shown, zero): (Vec<_>, Vec<_>) =
            evidence.pcrs().iter().partition(|(index, pcr)| ALWAYS_SHOWN.contains(index) || !pcr.is_zero());
        let others = shown.into_iter().filter(|(index, _)| *index != 0);
        Self {
            module_id: evidence.module_id().to_owned(),
            image_digest: evidence.pcrs().get(0).copied().map(Pcr::to_hex),
            pcrs: RecordedPcrs(others.map(|(index, pcr)| (index, *pcr)).collect()),
            zero_pcrs: zero.into_iter().map(|(index, _)| index).collect(),
            timestamp: evidence.timestamp().to_string(),
            trust_anchor_sha256: hex::encode(evidence.trust_anchor_sha256()),
        }
    }
}
