//! GenerateRandom: random bytes that the enclave's own generator had no part in.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::error::ClientError;
use super::super::wire::{Blob, Presence};
use super::sealed::Sealed;
use super::{Envelope, Operation, check_length};

/// A GenerateRandom request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateRandom {
    /// How many; the broker takes 1 to 1,024.
    pub number_of_bytes: u32,
}

impl Operation for GenerateRandom {
    const NAME: &'static str = "GenerateRandom";
    const PLAINTEXT_MEMBER: &'static str = "Plaintext";
    type Answer = Zeroizing<Vec<u8>>;
}

impl Sealed for GenerateRandom {
    type Response = Response;

    fn accept(&self, response: Response, envelope: Envelope<'_>) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let Response { plaintext, ciphertext_for_recipient } = response;
        let bytes = envelope.open(plaintext, Self::PLAINTEXT_MEMBER, ciphertext_for_recipient)?;
        check_length(&bytes, usize::try_from(self.number_of_bytes).unwrap_or(usize::MAX))?;
        Ok(bytes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(default)]
    plaintext: Presence,
    ciphertext_for_recipient: Option<Blob>,
}
