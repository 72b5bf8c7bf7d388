use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::keys::Key;

/// What a request wants a key to encrypt or decrypt with (KMS API reference, *Encrypt*, `EncryptionAlgorithm`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EncryptionAlgorithm {
    SymmetricDefault,
    /// The name of an algorithm of asymmetric keys.
    Asymmetric(&'static str),
}

impl EncryptionAlgorithm {
    /// The member `name`; absent is `SYMMETRIC_DEFAULT`.
    pub(super) fn parse(members: &Members<'_>, name: &str) -> Result<Self, MemberError> {
        const ALGORITHMS: [(&str, EncryptionAlgorithm); 4] = [
            ("SYMMETRIC_DEFAULT", EncryptionAlgorithm::SymmetricDefault),
            ("RSAES_OAEP_SHA_1", EncryptionAlgorithm::Asymmetric("RSAES_OAEP_SHA_1")),
            ("RSAES_OAEP_SHA_256", EncryptionAlgorithm::Asymmetric("RSAES_OAEP_SHA_256")),
            ("SM2PKE", EncryptionAlgorithm::Asymmetric("SM2PKE")),
        ];
        Ok(members.one_of(name, &ALGORITHMS)?.unwrap_or(Self::SymmetricDefault))
    }

    /// Its name in the service model.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::Asymmetric(name) => name,
        }
    }

    /// Refuses an algorithm that `key` does not have.
    pub(super) fn require_of(self, key: &Key) -> Result<(), OperationError> {
        match self {
            Self::SymmetricDefault => Ok(()),
            Self::Asymmetric(name) => Err(OperationError::InvalidKeyUsage(format!(
                "{} is a symmetric encryption key and cannot be used with {name}",
                key.arn
            ))),
        }
    }
}
