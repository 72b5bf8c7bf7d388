use crate::attestation;
use crate::keys::{BlobError, KeyArn, KeyIdentifierError, KeyStateError, OriginError, SealError};
use crate::policy::Denial;
use crate::root_key::RootKeyError;
use crate::store::StoreError;
use crate::trace::ErrorType;

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The caller asked for plaintext.
    #[error(
        "{operation} without Recipient would return plaintext, which this broker never does: \
         pass Recipient with the attestation document of the enclave that is to receive the key{alternative}"
    )]
    RecipientRequired {
        /// The operation.
        operation: &'static str,
        /// What else might have been meant.
        alternative: &'static str,
    },
    /// The text names no key here.
    #[error("Invalid keyId: {0}")]
    KeyIdentifier(#[from] KeyIdentifierError),
    /// The text begins like an ARN and is none of a key or alias.
    #[error("Invalid keyId: {0:?} is no key ARN and no alias ARN")]
    InvalidArn(String),
    /// No such key or alias.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The key cannot be used in its state.
    #[error(transparent)]
    KeyState(#[from] KeyStateError),
    /// A grant token that this broker did not issue, or whose grant is gone.
    #[error("the grant token at {member} was not issued by this broker, or its grant was retired or revoked")]
    InvalidGrantToken {
        /// The member that holds it.
        member: String,
    },
    /// A text that is no grant's id.
    #[error("Invalid grantId: {0}")]
    InvalidGrantId(#[from] crate::policy::InvalidGrantId),
    /// A text that names no principal.
    #[error("Invalid principal ARN: {0}")]
    InvalidPrincipal(crate::policy::InvalidPrincipalArn),
    /// The key does not do what a grant on it is to allow.
    #[error("{0}")]
    GrantDoesNotFit(String),
    /// A key has as many grants as it can have.
    #[error("the key has {limit} grants, the most that are possible")]
    TooManyGrants {
        /// The most that are possible.
        limit: u32,
    },
    /// Something that no key's policy is asked about, and that is not this caller's.
    #[error(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
         allows the {action} action"
    )]
    NotForThisCaller {
        /// Who asked.
        caller: Box<crate::policy::Caller>,
        /// For what.
        action: &'static str,
        /// About what.
        resource: String,
    },
    /// `Recipient.AttestationDocument` holds the name of a file instead of its content.
    #[error(
        "Recipient.AttestationDocument holds the text {text:?} instead of a document: the AWS CLI reads no file in \
         its shorthand syntax with `=`; write --recipient \
         KeyEncryptionAlgorithm=RSAES_OAEP_SHA_256,AttestationDocument@=fileb://FILE"
    )]
    FileNameForDocument {
        /// The text that came.
        text: String,
    },
    /// The attestation document is no evidence.
    #[error("Recipient.AttestationDocument fails at the step {step}: {0}", step = .0.step().name())]
    Attestation(attestation::Error),
    /// The key policy says no.
    #[error(transparent)]
    Denied(#[from] Box<Denial>),
    /// The ciphertext is not one of this broker, was altered, or its context differs.
    #[error("{0}")]
    InvalidCiphertext(BlobError),
    /// The ciphertext names a key or material that is not there.
    #[error("the CiphertextBlob names a key or key material that this broker does not hold")]
    CiphertextOfUnknownKey,
    /// The ciphertext belongs to another key than the request names.
    #[error("the CiphertextBlob was not sealed under {0}, the key that the request names")]
    IncorrectKey(KeyArn),
    /// The key does not do this.
    #[error(transparent)]
    InvalidKeyUsage(#[from] crate::keys::KeyUsageError),
    /// A spec and a usage that make no key.
    #[error(transparent)]
    InvalidKeyKind(#[from] crate::keys::KeyKindError),
    /// A parameter that does not go with the key or with another parameter.
    #[error("{0}")]
    InvalidParameter(String),
    /// A peer's public key that the key cannot meet.
    #[error(transparent)]
    InvalidPeerKey(#[from] crate::keys::InvalidPeerKey),
    /// The signature is none of the message by the key.
    #[error("the signature is not one of this message by this key with this algorithm")]
    InvalidSignature,
    /// The HMAC is none of the message under the key.
    #[error("the HMAC is not that of this message under this key")]
    InvalidMac,
    /// A name that an alias cannot have.
    #[error(transparent)]
    InvalidAliasName(#[from] crate::keys::InvalidAliasName),
    /// The alias is taken.
    #[error("an alias with the name {0} already exists")]
    AliasExists(crate::keys::AliasName),
    /// A page that no answer announced, or whose start is gone.
    #[error("the marker is not one of this list")]
    InvalidMarker,
    /// A key was rotated as often as it can be.
    #[error("the key was rotated on demand {limit} times, the most that are possible")]
    TooManyRotations {
        /// The most that are possible.
        limit: u32,
    },
    /// An import token that this broker did not make for this key.
    #[error("the ImportToken was not made by this broker for this key")]
    InvalidImportToken,
    /// An import token whose time is over.
    #[error("the ImportToken was valid until {valid_to}")]
    ExpiredImportToken {
        /// Until when.
        valid_to: crate::time::UnixTime,
    },
    /// Imported material that was not encrypted to the token's key.
    #[error(
        "EncryptedKeyMaterial does not decrypt with the key of the ImportToken and its WrappingAlgorithm"
    )]
    ImportDoesNotUnwrap,
    /// Imported material that is not that of the key.
    #[error("{0}")]
    IncorrectKeyMaterial(String),
    /// An end of imported material's time that is past or too far.
    #[error("ValidTo must lie in the future, at most 365 days ahead, found {valid_to}")]
    ImportValidTo {
        /// The end that was asked for.
        valid_to: crate::time::UnixTime,
    },
    /// Nothing can be imported into a disabled key.
    #[error("{0} is disabled.")]
    DisabledForImport(KeyArn),
    /// Something else happened to the key, or it has new material already.
    #[error("{0} has key material that is pending rotation.")]
    ImportInTheWay(KeyArn),
    /// There is no imported material to rotate to.
    #[error("{0} has no imported key material that is pending rotation.")]
    NothingToRotateTo(KeyArn),
    /// The key's material comes from elsewhere than the operation takes it.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// Tags that are none.
    #[error(transparent)]
    Tag(#[from] super::tags::TagError),
    /// A key would have more tags than it can.
    #[error("a key has at most {} tags", crate::keys::MAX_TAGS)]
    TooManyTags,
    /// Something that this broker does not have.
    #[error("{0}")]
    Unsupported(&'static str),
    /// An alias where KMS takes only a key id or key ARN.
    #[error("Invalid keyId {0}: this operation takes a key id or key ARN, no alias")]
    AliasNotAccepted(crate::keys::AliasName),
    /// A key policy that is none.
    #[error("the policy is refused: {0}")]
    MalformedPolicy(crate::policy::PolicyError),
    /// A key policy under which its author could not change it again.
    #[error("The new key policy will not allow you to update the key policy in the future.")]
    PolicyLocksOut,
    /// A policy of another name than `default`, the only one that a key has.
    #[error("No such policy exists")]
    NoSuchPolicy,
    /// `DryRun` was asked for and everything would have succeeded.
    #[error("The request would have succeeded, but the DryRun option is set.")]
    DryRun,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// A record could not be made.
    #[error("the audit record cannot be made: {0}")]
    Record(serde_json::Error),
    /// The audit log failed.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// The root key failed.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// A primitive failed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The stable name of the check or the kind of refusal where there is one, else which part of the broker failed.
impl ErrorType for OperationError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Attestation(error) => error.code(),
            Self::Denied(denial) => denial.refusal().name(),
            Self::NotFound(_) => "not_found",
            Self::KeyState(_) => "key_state",
            Self::Store(_) => "store",
            Self::RootKey(_) => "root_key",
            Self::Audit(_) | Self::Record(_) => "audit",
            Self::Seal(_) => "crypto",
            _ => "refused",
        }
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AliasExists(name) => Self::AliasExists(name),
            StoreError::NoSuchAlias(name) => Self::NotFound(format!("Alias {name}")),
            StoreError::NoSuchKey(id) => Self::NotFound(format!("Key '{id}'")),
            StoreError::TooManyGrants { limit } => Self::TooManyGrants { limit },
            error => Self::Store(error),
        }
    }
}

impl From<BlobError> for OperationError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Seal(error) => Self::Seal(error),
            error => Self::InvalidCiphertext(error),
        }
    }
}

impl From<crate::crypto::CryptoError> for OperationError {
    fn from(error: crate::crypto::CryptoError) -> Self {
        Self::Seal(SealError::Crypto(error))
    }
}
