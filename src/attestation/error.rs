use std::time::Duration;

use super::{PayloadError, RecipientKeyError};
use crate::cose::CoseError;
use crate::time::UnixTime;
use crate::x509::PathError;

/// The step of verification that a document fails, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The bytes are a COSE_Sign1 of the accepted form.
    Cose,
    /// The payload is an attestation document of a Nitro enclave.
    Payload,
    /// The certificates lead to a trust anchor, all valid now.
    Path,
    /// The document is signed by the leaf certificate's key.
    Signature,
    /// The document's own timestamp is recent.
    Freshness,
    /// The enclave does not run in debug mode.
    DebugMode,
    /// The document names an RSA key that an answer can be encrypted to.
    RecipientKey,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Step; 7] = [
        Step::Cose,
        Step::Payload,
        Step::Path,
        Step::Signature,
        Step::Freshness,
        Step::DebugMode,
        Step::RecipientKey,
    ];

    /// A stable name for logs and machine output.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Cose => "cose",
            Step::Payload => "payload",
            Step::Path => "path",
            Step::Signature => "signature",
            Step::Freshness => "freshness",
            Step::DebugMode => "debug_mode",
            Step::RecipientKey => "recipient_key",
        }
    }
}

/// Why a document is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The document is longer than KMS allows.
    #[error("a document has 1 to {limit} bytes, found {actual}")]
    DocumentLength {
        /// The most that is accepted.
        limit: usize,
        /// The length found.
        actual: usize,
    },
    /// Not a COSE_Sign1 of the accepted form.
    #[error(transparent)]
    Cose(CoseError),
    /// Not the payload of an enclave's document.
    #[error(transparent)]
    Payload(PayloadError),
    /// No path to a trust anchor.
    #[error(transparent)]
    Path(PathError),
    /// Not signed by the leaf.
    #[error("the document is not signed by its certificate: {0}")]
    Signature(CoseError),
    /// Older than allowed.
    #[error("the document is {} s old, at most {} s are allowed: timestamp {timestamp}, now {now}", .age.as_secs(), .max_age.as_secs())]
    Stale {
        /// When the document was made.
        timestamp: UnixTime,
        /// The time of the decision.
        now: UnixTime,
        /// The difference.
        age: Duration,
        /// The limit.
        max_age: Duration,
    },
    /// Dated further into the future than clocks may differ.
    #[error("the document is dated {} s ahead, at most {} s are allowed: timestamp {timestamp}, now {now}", .ahead.as_secs(), .max_ahead.as_secs())]
    FromTheFuture {
        /// When the document claims to have been made.
        timestamp: UnixTime,
        /// The time of the decision.
        now: UnixTime,
        /// The difference.
        ahead: Duration,
        /// The limit.
        max_ahead: Duration,
    },
    /// The enclave runs in debug mode: PCR0, PCR1 or PCR2 is all zeros.
    #[error("PCR{index} is all zeros: the enclave runs in debug mode and proves nothing about its image")]
    DebugMode {
        /// The first such register.
        index: u8,
    },
    /// Genuine, but no answer can be encrypted to it.
    #[error(transparent)]
    RecipientKey(RecipientKeyError),
}

impl Error {
    /// The step that refused.
    pub const fn step(&self) -> Step {
        match self {
            Error::DocumentLength { .. } | Error::Cose(_) => Step::Cose,
            Error::Payload(_) => Step::Payload,
            Error::Path(_) => Step::Path,
            Error::Signature(_) => Step::Signature,
            Error::Stale { .. } | Error::FromTheFuture { .. } => Step::Freshness,
            Error::DebugMode { .. } => Step::DebugMode,
            Error::RecipientKey(_) => Step::RecipientKey,
        }
    }

    /// A stable name for the defect, for logs, vectors and machine output.
    pub const fn code(&self) -> &'static str {
        match self {
            Error::DocumentLength { .. } => "document_length",
            Error::Cose(error) => cose_code(error),
            Error::Payload(error) => error.code(),
            Error::Path(error) => path_code(error),
            Error::Signature(_) => "signature_mismatch",
            Error::Stale { .. } => "stale",
            Error::FromTheFuture { .. } => "from_the_future",
            Error::DebugMode { .. } => "debug_mode",
            Error::RecipientKey(error) => error.code(),
        }
    }
}

const fn cose_code(error: &CoseError) -> &'static str {
    match error {
        CoseError::Cbor(_) => "cose_malformed",
        CoseError::UnexpectedTag { .. } => "cose_tag",
        CoseError::ArrayLength { .. } => "cose_array_length",
        CoseError::ProtectedHeader { .. } => "cose_protected_header",
        CoseError::UnprotectedHeader => "cose_unprotected_header",
        CoseError::SignatureLength { .. } => "cose_signature_length",
        CoseError::SignatureMismatch => "signature_mismatch",
    }
}

const fn path_code(error: &PathError) -> &'static str {
    match error {
        PathError::UntrustedRoot { .. } => "path_untrusted_root",
        PathError::Malformed { .. } => "path_malformed_certificate",
        PathError::IssuerName { .. } => "path_issuer_name",
        PathError::BasicConstraints { .. } => "path_basic_constraints",
        PathError::PathLength { .. } => "path_length",
        PathError::KeyUsage { .. } | PathError::KeyCertSignWithoutCa { .. } => "path_key_usage",
        PathError::CriticalExtension { .. } => "path_critical_extension",
        PathError::LeafKey => "path_leaf_key",
        PathError::NotYetValid { .. } => "path_not_yet_valid",
        PathError::Expired { .. } => "path_expired",
        PathError::Validation(_) => "path_validation",
        PathError::NotOnePath => "path_order",
    }
}
