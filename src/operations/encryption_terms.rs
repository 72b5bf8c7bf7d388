use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::crypto::OaepDigest;
use crate::encryption_context::EncryptionContext;
use crate::keys::{
    self, CiphertextBlob, DataKey, DecryptionKey, EncryptionAlgorithm, EncryptionScheme, Key, KeyMaterialId,
};
use crate::metrics::Stage;
use crate::policy::Permit;

/// What a request says about how its key encrypts: the algorithm, and the encryption context, which only symmetric
/// encryption has.
pub(super) struct EncryptionTerms {
    pub(super) algorithm: EncryptionAlgorithm,
    pub(super) context: EncryptionContext,
}

/// The names of the members that hold [`EncryptionTerms`].
pub(super) struct TermNames {
    pub(super) algorithm: &'static str,
    pub(super) context: &'static str,
}

/// What a key encrypted, before or after its way over the wire.
pub(super) enum Ciphertext {
    Blob(CiphertextBlob),
    Rsa { digest: OaepDigest, bytes: Vec<u8> },
}

impl EncryptionTerms {
    /// Reads the two members; an absent algorithm is `SYMMETRIC_DEFAULT`.
    pub(super) fn parse(members: &Members<'_>, names: &TermNames) -> Result<Self, MemberError> {
        let algorithms = EncryptionAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
        let algorithm = members.one_of(names.algorithm, &algorithms)?;
        Ok(Self {
            algorithm: algorithm.unwrap_or(EncryptionAlgorithm::SymmetricDefault),
            context: super::members::encryption_context(members, names.context)?,
        })
    }

    /// How `key` encrypts on these terms, as `operation` needs.
    pub(super) fn scheme_of(
        &self,
        key: &Key,
        operation: &'static str,
    ) -> Result<EncryptionScheme, OperationError> {
        let scheme = self.algorithm.require_of(key, operation)?;
        match scheme {
            EncryptionScheme::Rsa { .. } if !self.context.is_empty() => {
                Err(OperationError::InvalidParameter(
                    "EncryptionContext is not supported when encrypting or decrypting with an asymmetric KMS key."
                        .to_owned(),
                ))
            }
            EncryptionScheme::Symmetric | EncryptionScheme::Rsa { .. } => Ok(scheme),
        }
    }

    /// Refuses a plaintext that is too long for `key`.
    pub(super) fn require_room(
        &self,
        scheme: EncryptionScheme,
        key: &Key,
        plaintext: &DataKey,
    ) -> Result<(), OperationError> {
        match scheme {
            EncryptionScheme::Rsa { max_plaintext_len, .. } if plaintext.byte_len() > max_plaintext_len => {
                Err(OperationError::InvalidParameter(format!(
                    "Algorithm {} and key spec {} cannot encrypt data longer than {max_plaintext_len} bytes.",
                    self.algorithm.name(),
                    key.spec.name()
                )))
            }
            EncryptionScheme::Symmetric | EncryptionScheme::Rsa { .. } => Ok(()),
        }
    }

    /// Encrypts `plaintext` under `key`, which has this scheme.
    pub(super) async fn seal(
        &self,
        scheme: EncryptionScheme,
        permit: &Permit,
        key: &Key,
        plaintext: &DataKey,
        broker: &Broker,
    ) -> Result<Ciphertext, OperationError> {
        match scheme {
            EncryptionScheme::Symmetric => {
                let material = broker.current_material(permit, key).await?;
                let seal = || keys::seal(permit, key, &material, &self.context, plaintext);
                Ok(Ciphertext::Blob(broker.in_stage(Stage::UseKey, seal)?))
            }
            EncryptionScheme::Rsa { digest, .. } => {
                self.require_room(scheme, key, plaintext)?;
                let encrypt = || keys::encrypt(permit, key, digest, plaintext);
                Ok(Ciphertext::Rsa { digest, bytes: broker.in_stage(Stage::UseKey, encrypt)? })
            }
        }
    }

    /// Decrypts `ciphertext` with `key`.
    pub(super) async fn open(
        &self,
        permit: &Permit,
        key: &Key,
        ciphertext: &Ciphertext,
        broker: &Broker,
    ) -> Result<DataKey, OperationError> {
        match ciphertext {
            Ciphertext::Blob(blob) => broker.open(permit, key, &self.context, blob).await,
            Ciphertext::Rsa { digest, bytes } => {
                let material: DecryptionKey = broker.current_material(permit, key).await?;
                broker.in_stage(Stage::UseKey, || keys::decrypt(permit, key, &material, *digest, bytes))
            }
        }
    }
}

impl Ciphertext {
    /// Reads what is to be opened with `scheme`.
    pub(super) fn parse(scheme: EncryptionScheme, bytes: &[u8]) -> Result<Self, OperationError> {
        match scheme {
            EncryptionScheme::Symmetric => Ok(Self::Blob(CiphertextBlob::parse(bytes)?)),
            EncryptionScheme::Rsa { digest, .. } => Ok(Self::Rsa { digest, bytes: bytes.to_vec() }),
        }
    }

    /// As it goes over the wire.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Blob(blob) => blob.as_bytes().to_vec(),
            Self::Rsa { bytes, .. } => bytes,
        }
    }

    /// The version of a symmetric key's material that it is sealed under.
    pub(super) fn material_id(&self) -> Option<KeyMaterialId> {
        match self {
            Self::Blob(blob) => Some(*blob.material_id()),
            Self::Rsa { .. } => None,
        }
    }
}
