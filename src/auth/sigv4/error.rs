//! Why a signature was refused.

use crate::time::UnixTime;

/// The first step of SigV4 that failed. Carries nothing that helps to forge: neither the expected signature nor any
/// part of a secret, a token or an unknown credential scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// The signature came in the query string.
    #[error("presigned requests are not supported: sign with the Authorization header")]
    Presigned,
    /// The header is sent twice, where one value must steer.
    #[error("the header {name} occurs more than once")]
    RepeatedHeader {
        /// The header's name.
        name: &'static str,
    },
    /// The header is not visible ASCII.
    #[error("the header {name} is not visible ASCII")]
    UnreadableHeader {
        /// The header's name.
        name: &'static str,
    },
    /// The header exceeds its limit.
    #[error("the header {name} is {actual} bytes long, over the limit of {limit}")]
    HeaderTooLong {
        /// The header's name.
        name: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        actual: usize,
    },
    /// Another algorithm or scheme than the one supported.
    #[error("the Authorization header does not begin with AWS4-HMAC-SHA256")]
    UnsupportedAlgorithm,
    /// A part of the Authorization header that is not `name=value` with a known name.
    #[error("the Authorization header has a part other than Credential, SignedHeaders and Signature")]
    UnknownField,
    /// A field given twice.
    #[error("the Authorization header has more than one {field}")]
    RepeatedField {
        /// The field's name.
        field: &'static str,
    },
    /// A field not given.
    #[error("the Authorization header lacks {field}")]
    MissingField {
        /// The field's name.
        field: &'static str,
    },
    /// Not `<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request`.
    #[error("Credential is not <access key id>/<YYYYMMDD>/<region>/<service>/aws4_request: bad {part}")]
    MalformedCredential {
        /// The part that is wrong.
        part: &'static str,
    },
    /// Not lower-case header names in ascending order, each once.
    #[error(
        "SignedHeaders is not a list of lower-case header names in ascending order, each once, 64 at most"
    )]
    MalformedSignedHeaders,
    /// Not 64 lower-case hexadecimal digits.
    #[error("Signature is not 64 lower-case hexadecimal digits")]
    MalformedSignature,
    /// Neither `X-Amz-Date` nor `Date`.
    #[error("the request has neither X-Amz-Date nor Date")]
    MissingDate,
    /// The date is not in ISO 8601 basic form.
    #[error("the header {name} is not a date of the form YYYYMMDDTHHMMSSZ")]
    MalformedDate {
        /// The header's name.
        name: &'static str,
    },
    /// The query has a broken percent escape.
    #[error("the query has a malformed percent escape")]
    MalformedQuery,
    /// The credential is for another region.
    #[error("the credential is scoped to region {actual:?}, not {expected:?}")]
    WrongRegion {
        /// The broker's region.
        expected: String,
        /// The credential's.
        actual: String,
    },
    /// The credential is for another service.
    #[error("the credential is scoped to service {actual:?}, not {expected:?}")]
    WrongService {
        /// The broker's service name.
        expected: String,
        /// The credential's.
        actual: String,
    },
    /// The credential's date is not the request's day.
    #[error("the credential is scoped to {scope}, the request is dated {request}")]
    ScopeDateMismatch {
        /// The credential's date.
        scope: String,
        /// The request's date.
        request: String,
    },
    /// Signed more than 15 minutes ago.
    #[error("signature expired: signed at {signed_at}, now is {now}, 15 minutes are allowed")]
    Expired {
        /// The request's date.
        signed_at: UnixTime,
        /// The broker's clock.
        now: UnixTime,
    },
    /// Signed more than 15 minutes ahead.
    #[error("signature not yet current: signed at {signed_at}, now is {now}, 15 minutes are allowed")]
    NotYetValid {
        /// The request's date.
        signed_at: UnixTime,
        /// The broker's clock.
        now: UnixTime,
    },
    /// A header that must be signed is not.
    #[error("the header {name} must be among the SignedHeaders")]
    HeaderNotSigned {
        /// The header's name.
        name: String,
    },
    /// A header named as signed did not arrive.
    #[error("the header {name} is among the SignedHeaders but not in the request")]
    SignedHeaderAbsent {
        /// The header's name.
        name: String,
    },
    /// The body is not covered by the signature.
    #[error(
        "unsigned and streaming payloads are not supported: X-Amz-Content-Sha256 must be the body's SHA-256"
    )]
    UnsupportedPayloadForm,
    /// The body is not the one that was signed.
    #[error("X-Amz-Content-Sha256 is not the SHA-256 of the body received")]
    BodyHashMismatch,
    /// The signature was not made by this secret over this request.
    #[error("the signature does not match: check the secret access key and the signing method")]
    SignatureMismatch,
}

/// The kinds of refusal that AWS tells apart, each by its exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigV4ErrorClass {
    /// `MissingAuthenticationTokenException`: nothing in the request says in a supported way who calls.
    MissingAuthenticationToken,
    /// `IncompleteSignatureException`: the claim cannot be read.
    IncompleteSignature,
    /// `InvalidSignatureException`: the claim was read and does not hold. The services of the JSON protocols answer a
    /// mismatch with it as well; `SignatureDoesNotMatch` is what those of the query protocol say.
    InvalidSignature,
}

impl SigV4Error {
    /// Which exception says this.
    pub fn class(&self) -> SigV4ErrorClass {
        match self {
            Self::Presigned => SigV4ErrorClass::MissingAuthenticationToken,
            Self::RepeatedHeader { .. }
            | Self::UnreadableHeader { .. }
            | Self::HeaderTooLong { .. }
            | Self::UnsupportedAlgorithm
            | Self::UnknownField
            | Self::RepeatedField { .. }
            | Self::MissingField { .. }
            | Self::MalformedCredential { .. }
            | Self::MalformedSignedHeaders
            | Self::MalformedSignature
            | Self::MissingDate
            | Self::MalformedDate { .. }
            | Self::MalformedQuery => SigV4ErrorClass::IncompleteSignature,
            Self::WrongRegion { .. }
            | Self::WrongService { .. }
            | Self::ScopeDateMismatch { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::HeaderNotSigned { .. }
            | Self::SignedHeaderAbsent { .. }
            | Self::UnsupportedPayloadForm
            | Self::BodyHashMismatch
            | Self::SignatureMismatch => SigV4ErrorClass::InvalidSignature,
        }
    }
}
