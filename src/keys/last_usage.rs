use crate::time::UnixTime;

/// Operations that count as the use of a key (KMS API reference, *KeyLastUsageData*, `Operation`).
const TRACKED_OPERATIONS: [&str; 14] = [
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// One successful cryptographic operation with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUsage {
    /// Such as `Decrypt`.
    pub operation: String,
    /// When.
    pub time: UnixTime,
    /// The `eventID` of its audit record.
    pub event_id: String,
    /// The `x-amzn-RequestId` of its answer.
    pub request_id: String,
}

/// Whether the success of this operation counts as the use of a key.
pub fn is_tracked_usage(operation: &str) -> bool {
    TRACKED_OPERATIONS.contains(&operation)
}
