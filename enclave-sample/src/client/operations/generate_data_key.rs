//! GenerateDataKey: a new symmetric key, once for use and once sealed.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::super::EncryptionContext;
use super::super::error::ClientError;
use super::super::wire::{self, Blob, Presence};
use super::sealed::Sealed;
use super::{Envelope, Operation, check_length, check_same_key};

/// A GenerateDataKey request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct GenerateDataKey {
    /// Key id, key ARN, `alias/NAME` or alias ARN.
    pub key_id: String,
    /// How long the key shall be.
    pub length: DataKeyLength,
    /// Bound to the data key's ciphertext.
    pub encryption_context: EncryptionContext,
    /// Grants not yet consistent everywhere.
    pub grant_tokens: Vec<String>,
    /// Only ask whether it would be allowed; the answer is always a [`Refusal`](super::super::Refusal).
    pub dry_run: bool,
}

impl GenerateDataKey {
    /// A request for an AES-256 key under `key_id`, nothing else given.
    pub fn aes_256(key_id: impl Into<String>) -> Self {
        Self {
            key_id: key_id.into(),
            length: DataKeyLength::Aes256,
            encryption_context: EncryptionContext::new(),
            grant_tokens: Vec::new(),
            dry_run: false,
        }
    }
}

/// How long a data key shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKeyLength {
    /// `KeySpec=AES_256`: 32 bytes.
    Aes256,
    /// `KeySpec=AES_128`: 16 bytes.
    Aes128,
    /// `NumberOfBytes`; the broker takes 1 to 1,024.
    Bytes(u32),
}

impl DataKeyLength {
    /// The length in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Aes256 => 32,
            Self::Aes128 => 16,
            Self::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }
}

/// A request that does not say how long the key shall be, or says it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("exactly one of KeySpec (AES_256 or AES_128) and NumberOfBytes says how long the key shall be")]
pub struct InvalidLength;

/// A data key in the clear and sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// The key itself; cleared on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The same, for Decrypt to open again.
    pub ciphertext_blob: Vec<u8>,
    /// ARN of the key that sealed it.
    pub key_id: String,
}

impl Operation for GenerateDataKey {
    const NAME: &'static str = "GenerateDataKey";
    const PLAINTEXT_MEMBER: &'static str = "Plaintext";
    type Answer = DataKey;
}

impl Sealed for GenerateDataKey {
    type Response = Response;

    fn accept(&self, response: Response, envelope: Envelope<'_>) -> Result<DataKey, ClientError> {
        let Response { plaintext, ciphertext_for_recipient, ciphertext_blob, key_id } = response;
        let plaintext = envelope.open(plaintext, Self::PLAINTEXT_MEMBER, ciphertext_for_recipient)?;
        let ciphertext_blob = wire::require_ciphertext_blob(ciphertext_blob, "CiphertextBlob")?;
        let key_id = wire::require_key_id(key_id)?;
        check_same_key(&self.key_id, &key_id)?;
        check_length(&plaintext, self.length.bytes())?;
        Ok(DataKey { plaintext, ciphertext_blob, key_id })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(default)]
    plaintext: Presence,
    ciphertext_for_recipient: Option<Blob>,
    ciphertext_blob: Option<Blob>,
    key_id: Option<String>,
}

/// The members as the service model has them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_spec: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number_of_bytes: Option<u32>,
    #[serde(default, skip_serializing_if = "EncryptionContext::is_empty")]
    encryption_context: EncryptionContext,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    grant_tokens: Vec<String>,
    #[serde(default, skip_serializing_if = "wire::is_false")]
    dry_run: bool,
}

impl From<GenerateDataKey> for Wire {
    fn from(request: GenerateDataKey) -> Self {
        let GenerateDataKey { key_id, length, encryption_context, grant_tokens, dry_run } = request;
        let (key_spec, number_of_bytes) = match length {
            DataKeyLength::Aes256 => (Some("AES_256".to_owned()), None),
            DataKeyLength::Aes128 => (Some("AES_128".to_owned()), None),
            DataKeyLength::Bytes(bytes) => (None, Some(bytes)),
        };
        Self { key_id, key_spec, number_of_bytes, encryption_context, grant_tokens, dry_run }
    }
}

impl TryFrom<Wire> for GenerateDataKey {
    type Error = InvalidLength;

    fn try_from(wire: Wire) -> Result<Self, InvalidLength> {
        let Wire { key_id, key_spec, number_of_bytes, encryption_context, grant_tokens, dry_run } = wire;
        let length = match (key_spec.as_deref(), number_of_bytes) {
            (Some("AES_256"), None) => DataKeyLength::Aes256,
            (Some("AES_128"), None) => DataKeyLength::Aes128,
            (None, Some(bytes)) => DataKeyLength::Bytes(bytes),
            _ => return Err(InvalidLength),
        };
        Ok(Self { key_id, length, encryption_context, grant_tokens, dry_run })
    }
}

/// Everything but the key.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("key_id", &self.key_id)
            .field("bytes", &self.plaintext.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_reads_and_writes_as_the_service_model_has_it() {
        let request = GenerateDataKey::aes_256("alias/k");
        let written = json!({"KeyId": "alias/k", "KeySpec": "AES_256"});
        assert_eq!(serde_json::to_value(&request).unwrap(), written);
        let full = GenerateDataKey {
            key_id: "k".to_owned(),
            length: DataKeyLength::Bytes(7),
            encryption_context: EncryptionContext::from([("purpose".to_owned(), "test".to_owned())]),
            grant_tokens: vec!["token".to_owned()],
            dry_run: true,
        };
        let written = json!({
            "KeyId": "k",
            "NumberOfBytes": 7,
            "EncryptionContext": {"purpose": "test"},
            "GrantTokens": ["token"],
            "DryRun": true,
        });
        assert_eq!(serde_json::to_value(&full).unwrap(), written);
        for request in [request, full] {
            let value = serde_json::to_value(&request).unwrap();
            assert_eq!(serde_json::from_value::<GenerateDataKey>(value).unwrap(), request);
        }
    }

    #[test]
    fn the_length_is_given_once() {
        for wrong in [
            json!({"KeyId": "k"}),
            json!({"KeyId": "k", "KeySpec": "AES_256", "NumberOfBytes": 32}),
            json!({"KeyId": "k", "KeySpec": "AES_512"}),
        ] {
            let error = serde_json::from_value::<GenerateDataKey>(wrong).unwrap_err();
            assert_eq!(error.to_string(), InvalidLength.to_string());
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = DataKey {
            plaintext: Zeroizing::new(vec![0xab; 32]),
            ciphertext_blob: vec![1],
            key_id: "arn".to_owned(),
        };
        assert_eq!(format!("{key:?}"), "DataKey { key_id: \"arn\", bytes: 32, .. }");
    }
}
