use std::fmt::Display;

use hyper::StatusCode;

use crate::audit::Outcome;
use crate::auth::AuthError;
use crate::auth::sigv4::{SigV4Error, SigV4ErrorClass};
use crate::json::JsonError;
use crate::operations::{MemberError, OperationError};
use crate::server::BodyError;
use crate::text::shorten;

/// An error as the caller sees it: the only map from what went wrong to the exceptions of KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    exception: &'static str,
    message: String,
    outcome: Outcome,
}

impl ApiError {
    /// The HTTP status: 400, and 500 where the broker itself failed.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The exception's name, the response member `__type`.
    pub fn exception(&self) -> &'static str {
        self.exception
    }

    /// The response member `message`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How the audit record calls it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The broker itself failed: the cause goes to the log, not to the caller.
    pub(super) fn internal(cause: &dyn Display) -> Self {
        tracing::error!(%cause, "a request failed inside the broker");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            exception: "KMSInternalException",
            message: "The request failed inside the broker; its log says why.".to_owned(),
            outcome: Outcome::Failed,
        }
    }

    pub(super) fn not_json(error: &JsonError) -> Self {
        Self::malformed("SerializationException", format!("the request body is not JSON: {error}"))
    }

    pub(super) fn method_not_allowed(method: &str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            ..Self::malformed(
                "UnknownOperationException",
                format!("expected method POST, found {}", shorten(method)),
            )
        }
    }

    pub(super) fn unknown_path(path: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::malformed(
                "UnknownOperationException",
                format!("expected path /, found {}", shorten(path)),
            )
        }
    }

    pub(super) fn no_target() -> Self {
        let message = "expected a header X-Amz-Target: TrentService.<Operation>".to_owned();
        Self::malformed("UnknownOperationException", message)
    }

    pub(super) fn repeated_target() -> Self {
        Self::malformed("UnknownOperationException", "the header X-Amz-Target is repeated".to_owned())
    }

    pub(super) fn media_type(expected: &str, actual: &str) -> Self {
        let message = format!("expected Content-Type {expected}, found {:?}", shorten(actual));
        Self::malformed("SerializationException", message)
    }

    pub(super) fn unknown_operation(name: &str) -> Self {
        let message = format!("this broker has no operation {:?}", shorten(name));
        Self::malformed("UnknownOperationException", message)
    }

    fn malformed(exception: &'static str, message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, exception, message, outcome: Outcome::Malformed }
    }

    fn denied(exception: &'static str, message: &dyn Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            exception,
            message: message.to_string(),
            outcome: Outcome::Denied,
        }
    }
}

impl From<OperationError> for ApiError {
    fn from(error: OperationError) -> Self {
        use crate::keys::KeyStateError;

        let exception = match &error {
            OperationError::RecipientRequired { .. }
            | OperationError::FileNameForDocument { .. }
            | OperationError::GrantDoesNotFit(_)
            | OperationError::Attestation(_)
            | OperationError::InvalidKeyKind(_)
            | OperationError::InvalidParameter(_)
            | OperationError::InvalidPeerKey(_)
            | OperationError::ImportValidTo { .. } => "ValidationException",
            OperationError::KeyIdentifier(_)
            | OperationError::NotFound(_)
            | OperationError::AliasNotAccepted(_)
            | OperationError::NoSuchPolicy => "NotFoundException",
            OperationError::InvalidArn(_) => "InvalidArnException",
            OperationError::InvalidAliasName(_) => "InvalidAliasNameException",
            OperationError::AliasExists(_) => "AlreadyExistsException",
            OperationError::InvalidMarker => "InvalidMarkerException",
            OperationError::TooManyRotations { .. }
            | OperationError::TooManyGrants { .. }
            | OperationError::TooManyTags => "LimitExceededException",
            OperationError::Tag(_) => "TagException",
            OperationError::Unsupported(_) | OperationError::Origin(_) => "UnsupportedOperationException",
            OperationError::MalformedPolicy(_) | OperationError::PolicyLocksOut => {
                "MalformedPolicyDocumentException"
            }
            OperationError::KeyState(KeyStateError::Disabled(_)) => "DisabledException",
            OperationError::KeyState(
                KeyStateError::PendingDeletion(_)
                | KeyStateError::PendingImport(_)
                | KeyStateError::NotPendingDeletion(_),
            ) => "KMSInvalidStateException",
            OperationError::DisabledForImport(_)
            | OperationError::ImportInTheWay(_)
            | OperationError::NothingToRotateTo(_) => "KMSInvalidStateException",
            OperationError::InvalidImportToken => "InvalidImportTokenException",
            OperationError::ExpiredImportToken { .. } => "ExpiredImportTokenException",
            OperationError::ImportDoesNotUnwrap => "InvalidCiphertextException",
            OperationError::IncorrectKeyMaterial(_) => "IncorrectKeyMaterialException",
            OperationError::InvalidGrantToken { .. } => "InvalidGrantTokenException",
            OperationError::InvalidGrantId(_) => "InvalidGrantIdException",
            OperationError::InvalidPrincipal(_) => "InvalidArnException",
            OperationError::Denied(_) | OperationError::NotForThisCaller { .. } => "AccessDeniedException",
            OperationError::InvalidCiphertext(_) | OperationError::CiphertextOfUnknownKey => {
                "InvalidCiphertextException"
            }
            OperationError::IncorrectKey(_) => "IncorrectKeyException",
            OperationError::InvalidKeyUsage(_) => "InvalidKeyUsageException",
            OperationError::InvalidSignature => "KMSInvalidSignatureException",
            OperationError::InvalidMac => "KMSInvalidMacException",
            OperationError::DryRun => "DryRunOperationException",
            OperationError::Store(_)
            | OperationError::Record(_)
            | OperationError::Audit(_)
            | OperationError::RootKey(_)
            | OperationError::Seal(_) => {
                return Self::internal(&error);
            }
        };
        match error {
            // The one error that says yes.
            OperationError::DryRun => Self { outcome: Outcome::Allowed, ..Self::denied(exception, &error) },
            _ => Self::denied(exception, &error),
        }
    }
}

impl From<MemberError> for ApiError {
    fn from(error: MemberError) -> Self {
        let exception = match error {
            MemberError::Type { .. } => "SerializationException",
            MemberError::Constraint { .. } | MemberError::Combination(_) => "ValidationException",
        };
        Self::malformed(exception, error.to_string())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match &error {
            AuthError::SigV4(sigv4) => Self::from(sigv4),
            AuthError::UnknownCredential => Self::denied("UnrecognizedClientException", &error),
            AuthError::Expired => Self::denied("ExpiredTokenException", &error),
            AuthError::Store(_) | AuthError::RootKey(_) => Self::internal(&error),
        }
    }
}

impl From<&SigV4Error> for ApiError {
    fn from(error: &SigV4Error) -> Self {
        match error.class() {
            SigV4ErrorClass::MissingAuthenticationToken => {
                Self::malformed("MissingAuthenticationTokenException", error.to_string())
            }
            SigV4ErrorClass::IncompleteSignature => {
                Self::malformed("IncompleteSignatureException", error.to_string())
            }
            SigV4ErrorClass::InvalidSignature => Self::denied("InvalidSignatureException", error),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Timeout { .. } => StatusCode::REQUEST_TIMEOUT,
            BodyError::Incomplete => StatusCode::BAD_REQUEST,
        };
        Self { status, ..Self::malformed("SerializationException", error.to_string()) }
    }
}
