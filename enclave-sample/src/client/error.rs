//! Why a request brought no key.

use std::time::Duration;

use thiserror::Error;

use super::credentials::CredentialsError;
use super::sigv4::UnsignableTime;
use super::transport::TransportError;
use crate::cms::CmsError;
use crate::recipient::RecipientError;

/// Why a request brought no key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no attestation document to send.
    #[error("no attestation document: {0}")]
    Attestation(#[from] RecipientError),
    /// There are no credentials to sign with.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The request could not be signed.
    #[error(transparent)]
    Sign(#[from] UnsignableTime),
    /// The request could not be written as HTTP: a header of it has characters that none may have.
    #[error("the request cannot be written: {0}")]
    Request(String),
    /// There is no connection to the broker.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// No random bytes to wait by.
    #[error("the cryptographic module gave no random bytes")]
    Random,
    /// The client is at its end.
    #[error("the client is closed")]
    Closed,
    /// The connection broke, or the broker does not speak HTTP/1.1.
    #[error("the exchange with the broker failed: {0}")]
    Http(#[from] hyper::Error),
    /// No answer in time.
    #[error("no answer within {} s", after.as_secs())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The broker refused, with one of KMS's exceptions.
    #[error(transparent)]
    Refused(Refusal),
    /// An answer that is neither success nor a KMS exception.
    #[error("the broker answered with HTTP status {status} and no KMS exception")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// A longer answer than any operation has.
    #[error("the broker's answer is longer than {limit} bytes")]
    ResponseTooLong {
        /// The most bytes read.
        limit: usize,
    },
    /// The answer is not JSON of the operation's shape.
    #[error("the broker's answer is not the operation's JSON: {0}")]
    Json(String),
    /// The answer lacks a member.
    #[error("the broker's answer has no {member}")]
    MissingMember {
        /// The member.
        member: &'static str,
    },
    /// A member of the answer has a value that it cannot have.
    #[error("the broker's answer has an invalid {member}: {problem}")]
    InvalidMember {
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Key material in the clear. It has been seen on the path and is not used.
    #[error("the broker's answer holds {member}: it released key material in the clear")]
    PlaintextReleased {
        /// The member that should not be there.
        member: &'static str,
    },
    /// The envelope does not open.
    #[error("CiphertextForRecipient does not open: {0}")]
    Envelope(#[from] CmsError),
    /// Another length of plaintext than was asked for.
    #[error("asked for {expected} secret bytes, got {actual}")]
    PlaintextLength {
        /// The bytes asked for.
        expected: usize,
        /// The bytes released.
        actual: usize,
    },
    /// A member of the answer that has to be the request's is not.
    #[error("asked with {member} {asked}, the answer has {answered}")]
    OtherValue {
        /// The member, or what stands for it.
        member: &'static str,
        /// What the request says.
        asked: String,
        /// What the answer says.
        answered: String,
    },
    /// The two halves of a key pair do not belong together.
    #[error("the public key in the answer is not that of the private key: {0}")]
    KeyPair(KeyPairProblem),
    /// Another key than was asked for.
    #[error("asked for key {asked}, the broker used {answered}")]
    OtherKey {
        /// The KeyId of the request.
        asked: String,
        /// The KeyId of the answer.
        answered: String,
    },
}

impl ClientError {
    /// What the reader of the message can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Attestation(RecipientError::Nsm(error)) => error.hint(),
            Self::Transport(error) => error.hint(),
            Self::Refused(refusal) => refusal.hint(),
            Self::PlaintextReleased { .. } => {
                Some("the other side is no nitro-key-broker; consider the released key material compromised")
            }
            Self::Timeout { .. } => Some("repeating is safe: an unanswered data key is never used"),
            _ => None,
        }
    }
}

/// Why the halves of a key pair were not taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyPairProblem {
    /// What was released is no private key of the kind asked for.
    #[error("no private key of the KeyPairSpec asked for")]
    PrivateKey,
    /// Another key's public half.
    #[error("they differ")]
    Differs,
}

/// A KMS exception: `{"__type": code, "message": message}`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The exception's name without its namespace, such as `AccessDeniedException`.
    pub code: String,
    /// The broker's explanation, free of control characters.
    pub message: String,
    /// `x-amzn-RequestId`, by which the broker's audit log knows the request.
    pub request_id: Option<String>,
}

impl Refusal {
    /// Whether this says that a dry run would have succeeded.
    pub fn is_successful_dry_run(&self) -> bool {
        self.code == "DryRunOperationException"
    }

    fn hint(&self) -> Option<&'static str> {
        match self.code.as_str() {
            "AccessDeniedException" => Some(
                "does the key's policy allow this enclave's PCR values? \
                 `enclave-sample attestation-document` writes the document to look at",
            ),
            "NotFoundException" => Some("list the broker's keys with `nitro-key-broker key list`"),
            "InvalidCiphertextException" => {
                Some("the ciphertext or its encryption context differs from what the broker sealed")
            }
            _ => None,
        }
    }
}
