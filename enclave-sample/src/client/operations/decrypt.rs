//! Decrypt: what a ciphertext holds.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::EncryptionContext;
use super::super::error::ClientError;
use super::super::wire::{self, Blob, Presence};
use super::sealed::Sealed;
use super::{Envelope, Operation, check_same_key, check_same_value};

/// The algorithm of symmetric keys, which a request without `EncryptionAlgorithm` means.
const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";

/// A Decrypt request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Decrypt {
    /// What an earlier answer held as `CiphertextBlob`.
    #[serde(with = "wire::blob")]
    pub ciphertext_blob: Vec<u8>,
    /// The key that must have made it; without, whichever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// As it was when the ciphertext was made.
    #[serde(default, skip_serializing_if = "EncryptionContext::is_empty")]
    pub encryption_context: EncryptionContext,
    /// `SYMMETRIC_DEFAULT` unless given; ciphertexts of an RSA key have others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_algorithm: Option<String>,
    /// Grants not yet consistent everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_tokens: Vec<String>,
    /// Only ask whether it would be allowed; the answer is always a [`Refusal`](super::super::Refusal).
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub dry_run: bool,
}

impl Decrypt {
    /// A request to decrypt `ciphertext_blob`, nothing else given.
    pub fn blob(ciphertext_blob: impl Into<Vec<u8>>) -> Self {
        Self {
            ciphertext_blob: ciphertext_blob.into(),
            key_id: None,
            encryption_context: EncryptionContext::new(),
            encryption_algorithm: None,
            grant_tokens: Vec::new(),
            dry_run: false,
        }
    }
}

/// What Decrypt released.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The plaintext; cleared on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// ARN of the key that opened it.
    pub key_id: String,
    /// The algorithm of the request.
    pub encryption_algorithm: String,
}

impl Operation for Decrypt {
    const NAME: &'static str = "Decrypt";
    const PLAINTEXT_MEMBER: &'static str = "Plaintext";
    type Answer = Decrypted;
}

impl Sealed for Decrypt {
    type Response = Response;

    fn accept(&self, response: Response, envelope: Envelope<'_>) -> Result<Decrypted, ClientError> {
        let Response { plaintext, ciphertext_for_recipient, key_id, encryption_algorithm } = response;
        let plaintext = envelope.open(plaintext, Self::PLAINTEXT_MEMBER, ciphertext_for_recipient)?;
        let key_id = wire::require_key_id(key_id)?;
        if let Some(asked) = &self.key_id {
            check_same_key(asked, &key_id)?;
        }
        let asked = self.encryption_algorithm.as_deref().unwrap_or(SYMMETRIC_DEFAULT);
        check_same_value("EncryptionAlgorithm", asked, encryption_algorithm)?;
        Ok(Decrypted { plaintext, key_id, encryption_algorithm: asked.to_owned() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(default)]
    plaintext: Presence,
    ciphertext_for_recipient: Option<Blob>,
    key_id: Option<String>,
    encryption_algorithm: Option<String>,
}

/// Everything but the plaintext.
impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_reads_and_writes_as_the_service_model_has_it() {
        let request = Decrypt::blob(b"blob");
        assert_eq!(serde_json::to_value(&request).unwrap(), json!({"CiphertextBlob": "YmxvYg=="}));
        let full = Decrypt {
            key_id: Some("alias/k".to_owned()),
            encryption_context: EncryptionContext::from([("purpose".to_owned(), "test".to_owned())]),
            encryption_algorithm: Some(SYMMETRIC_DEFAULT.to_owned()),
            grant_tokens: vec!["token".to_owned()],
            dry_run: true,
            ..Decrypt::blob(b"blob")
        };
        let written = json!({
            "CiphertextBlob": "YmxvYg==",
            "KeyId": "alias/k",
            "EncryptionContext": {"purpose": "test"},
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "GrantTokens": ["token"],
            "DryRun": true,
        });
        assert_eq!(serde_json::to_value(&full).unwrap(), written);
        assert_eq!(serde_json::from_value::<Decrypt>(written).unwrap(), full);
        assert!(serde_json::from_value::<Decrypt>(json!({"CiphertextBlob": "%"})).is_err());
    }

    #[test]
    fn debug_shows_no_plaintext() {
        let decrypted = Decrypted {
            plaintext: Zeroizing::new(vec![0xab; 32]),
            key_id: "arn".to_owned(),
            encryption_algorithm: SYMMETRIC_DEFAULT.to_owned(),
        };
        assert_eq!(format!("{decrypted:?}"), "Decrypted { key_id: \"arn\", .. }");
    }
}
