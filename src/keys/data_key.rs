use zeroize::Zeroizing;

use crate::crypto::{CryptoError, fill_random};

/// Bytes of a data key at most (KMS API reference, *GenerateDataKey*, `NumberOfBytes`).
pub const MAX_DATA_KEY_LEN: usize = 1024;

/// A data key, or what else a caller wants sealed, in the clear. It cannot be printed, serialized or copied, and is wiped when dropped; only the sealing in
/// this module reads it.
pub struct DataKey(Zeroizing<Vec<u8>>);

impl DataKey {
    /// A new random data key of `length` bytes.
    ///
    /// # Errors
    /// When the random generator fails, or the length is not in 1 to [`MAX_DATA_KEY_LEN`].
    pub fn generate(length: usize) -> Result<Self, CryptoError> {
        if !(1..=MAX_DATA_KEY_LEN).contains(&length) {
            return Err(CryptoError);
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// What a caller sent to be sealed (KMS API reference, *Encrypt*, `Plaintext`).
    pub fn from_plaintext(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// How many bytes it has.
    pub(crate) fn byte_len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn from_opened(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}
