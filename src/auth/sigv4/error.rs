//! Why a signature was refused.

use crate::time::UnixTime;

/// The first step of SigV4 that failed. Carries nothing that helps to forge: neither the expected signature nor any
/// part of a secret, a token or an unknown credential scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// Signed in the Authorization header and in the query.
    #[error("the request is signed twice, in the Authorization header and in the query")]
    BothForms,
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
    /// The query exceeds its limit.
    #[error("the query is {actual} bytes long, over the limit of {limit}")]
    QueryTooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        actual: usize,
    },
    /// The query has too many parameters.
    #[error("the query has more than {limit} parameters")]
    TooManyParameters {
        /// The limit.
        limit: usize,
    },
    /// A parameter is given twice, where one value must steer.
    #[error("the query has more than one {name}")]
    RepeatedParameter {
        /// The parameter's name.
        name: &'static str,
    },
    /// A parameter is spelled in another case.
    #[error("the query parameter {name} is not spelled so")]
    MisspelledParameter {
        /// The parameter's name.
        name: &'static str,
    },
    /// A parameter is not visible ASCII.
    #[error("the query parameter {name} is not visible ASCII")]
    UnreadableParameter {
        /// The parameter's name.
        name: &'static str,
    },
    /// A parameter exceeds its limit.
    #[error("the query parameter {name} is {actual} bytes long, over the limit of {limit}")]
    ParameterTooLong {
        /// The parameter's name.
        name: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        actual: usize,
    },
    /// The query claims a caller and lacks a parameter that goes with it.
    #[error("the query lacks {name}")]
    MissingParameter {
        /// The parameter's name.
        name: &'static str,
    },
    /// Another algorithm in the query than the one supported.
    #[error("expected X-Amz-Algorithm AWS4-HMAC-SHA256, found {actual:?}")]
    UnsupportedQueryAlgorithm {
        /// What the query names.
        actual: String,
    },
    /// The time of a presigned request is not a number in its range.
    #[error("expected X-Amz-Expires from 1 to 604800 seconds, found {actual:?}")]
    MalformedExpires {
        /// What the query says.
        actual: String,
    },
    /// The session token is sent twice.
    #[error("the session token is sent twice, as a header and in the query")]
    TwoSessionTokens,
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
    #[error("expected {name} of the form YYYYMMDDTHHMMSSZ, found {actual:?}")]
    MalformedDate {
        /// The name of the header or parameter.
        name: &'static str,
        /// What it says.
        actual: String,
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
    /// The signature no longer counts.
    #[error("signature expired: signed at {signed_at}, it held until {held_until}, now is {now}")]
    Expired {
        /// The request's date.
        signed_at: UnixTime,
        /// The end of its time.
        held_until: UnixTime,
        /// The broker's clock.
        now: UnixTime,
    },
    /// The signature does not count yet.
    #[error("signature not yet current: signed at {signed_at}, it holds from {held_from}, now is {now}")]
    NotYetValid {
        /// The request's date.
        signed_at: UnixTime,
        /// The start of its time.
        held_from: UnixTime,
        /// The broker's clock.
        now: UnixTime,
    },
    /// The request is presigned for longer than this broker allows.
    #[error("the request is presigned for {actual_secs} seconds, over the limit of {limit_secs}")]
    PresignedTooLong {
        /// The limit in seconds; 0 where presigned requests are refused.
        limit_secs: u64,
        /// `X-Amz-Expires`.
        actual_secs: u64,
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
    #[error("expected X-Amz-Content-Sha256 to be the SHA-256 of the body, found the payload form {actual:?}")]
    UnsupportedPayloadForm {
        /// What the request says in place of a hash.
        actual: String,
    },
    /// The body is not the one that was signed.
    #[error("expected a body with X-Amz-Content-Sha256 {claimed:?}, found one with {actual}")]
    BodyHashMismatch {
        /// What the request says.
        claimed: String,
        /// The SHA-256 of the body received, in hexadecimal.
        actual: String,
    },
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
            // As AWS does: a scheme in the query that it does not know is no claim to it.
            Self::UnsupportedQueryAlgorithm { .. } => SigV4ErrorClass::MissingAuthenticationToken,
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
            | Self::MalformedQuery
            | Self::QueryTooLong { .. }
            | Self::TooManyParameters { .. }
            | Self::RepeatedParameter { .. }
            | Self::MisspelledParameter { .. }
            | Self::UnreadableParameter { .. }
            | Self::ParameterTooLong { .. }
            | Self::MissingParameter { .. }
            | Self::MalformedExpires { .. }
            | Self::TwoSessionTokens => SigV4ErrorClass::IncompleteSignature,
            Self::BothForms
            | Self::WrongRegion { .. }
            | Self::WrongService { .. }
            | Self::ScopeDateMismatch { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::PresignedTooLong { .. }
            | Self::HeaderNotSigned { .. }
            | Self::SignedHeaderAbsent { .. }
            | Self::UnsupportedPayloadForm { .. }
            | Self::BodyHashMismatch { .. }
            | Self::SignatureMismatch => SigV4ErrorClass::InvalidSignature,
        }
    }
}
