use zeroize::Zeroizing;

use super::error::OperationError;
use crate::crypto::ImportWrapping;
use crate::keys::KeyId;
use crate::root_key::{RootKey, RootKeyError};
use crate::time::UnixTime;

/// What the token is bound to beside its key.
const CONTEXT: &[u8] = b"nitro-key-broker import token v1\0";

/// What an `ImportToken` holds under the root key: the private half of the wrapping key, so that the broker keeps nothing
/// of an import that may never come.
pub(super) struct ImportToken {
    pub(super) wrapping: ImportWrapping,
    pub(super) valid_to: UnixTime,
    /// PKCS#8.
    pub(super) private_key: Zeroizing<Vec<u8>>,
}

impl ImportToken {
    /// The token for the caller, who can read nothing of it. For this key alone.
    pub(super) async fn seal(&self, root_key: &dyn RootKey, key: KeyId) -> Result<Vec<u8>, RootKeyError> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(9 + self.private_key.len()));
        plaintext.push(code(self.wrapping));
        plaintext.extend_from_slice(&self.valid_to.as_ms().to_be_bytes());
        plaintext.extend_from_slice(&self.private_key);
        root_key.wrap(&context(key), &plaintext).await
    }

    /// The token that [`ImportToken::seal`] made for this key, within its time.
    pub(super) async fn open(
        root_key: &dyn RootKey,
        key: KeyId,
        token: &[u8],
        now: UnixTime,
    ) -> Result<Self, OperationError> {
        let plaintext = match root_key.unwrap_key(&context(key), token).await {
            Ok(plaintext) => plaintext,
            Err(RootKeyError::Unwrap) => return Err(OperationError::InvalidImportToken),
            Err(error) => return Err(error.into()),
        };
        let token = Self::parse(&plaintext).ok_or(OperationError::InvalidImportToken)?;
        if now >= token.valid_to {
            return Err(OperationError::ExpiredImportToken { valid_to: token.valid_to });
        }
        Ok(token)
    }

    fn parse(plaintext: &[u8]) -> Option<Self> {
        let (wrapping, rest) = plaintext.split_first()?;
        let (valid_to, private_key) = rest.split_first_chunk::<8>()?;
        Some(Self {
            wrapping: from_code(*wrapping)?,
            valid_to: UnixTime::from_ms(u64::from_be_bytes(*valid_to)),
            private_key: Zeroizing::new(private_key.to_vec()),
        })
    }
}

fn context(key: KeyId) -> Vec<u8> {
    [CONTEXT, key.as_bytes()].concat()
}

const fn code(wrapping: ImportWrapping) -> u8 {
    match wrapping {
        ImportWrapping::OaepSha1 => 1,
        ImportWrapping::OaepSha256 => 2,
        ImportWrapping::AesKeyWrapSha1 => 3,
        ImportWrapping::AesKeyWrapSha256 => 4,
    }
}

fn from_code(byte: u8) -> Option<ImportWrapping> {
    use ImportWrapping::{AesKeyWrapSha1, AesKeyWrapSha256, OaepSha1, OaepSha256};
    [OaepSha1, OaepSha256, AesKeyWrapSha1, AesKeyWrapSha256].into_iter().find(|one| code(*one) == byte)
}
