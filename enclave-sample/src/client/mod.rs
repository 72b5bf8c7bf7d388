//! A client of the AWS KMS wire protocol (AWS JSON 1.1) that always asks for `CiphertextForRecipient`.
//!
//! It authenticates the broker with TLS and a pinned CA unless told otherwise, shows an attestation document with each
//! request, opens the envelope that comes back, and checks the answer against what was asked.

mod connection;
mod endpoint;
mod error;
mod sigv4;
mod transport;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use self::connection::HttpConnection;
pub use self::connection::{MAX_RESPONSE_BYTES, REQUEST_TIMEOUT};
pub use self::endpoint::{Authority, Endpoint, InvalidEndpoint};
pub use self::error::{ClientError, Refusal};
pub use self::sigv4::{Credentials, MissingCredential, UnsignableTime};
pub use self::transport::{
    CONNECT_TIMEOUT, DEFAULT_SERVER_NAME, TlsTrust, TransportError, TransportSecurity,
};
use self::wire::{Blob, Common, DecryptRequest, GenerateDataKeyRequest, Operation, Presence, RecipientInfo};
use crate::cms;
use crate::recipient::Recipient;

/// Pairs that are bound to a ciphertext and must be given again to decrypt it. They are not secret.
pub type EncryptionContext = BTreeMap<String, String>;

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

/// A GenerateDataKey request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateDataKey {
    /// Key id, key ARN, `alias/NAME` or alias ARN.
    pub key_id: String,
    /// How long the key shall be.
    pub length: DataKeyLength,
    /// Bound to the data key's ciphertext.
    pub encryption_context: EncryptionContext,
    /// Grants not yet consistent everywhere.
    pub grant_tokens: Vec<String>,
    /// Only ask whether it would be allowed; the answer is always a [`Refusal`].
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

/// A Decrypt request for a symmetric key's ciphertext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decrypt {
    /// What an earlier answer held as `CiphertextBlob`.
    pub ciphertext_blob: Vec<u8>,
    /// The key that must have made it; without, whichever did.
    pub key_id: Option<String>,
    /// As it was when the ciphertext was made.
    pub encryption_context: EncryptionContext,
    /// Grants not yet consistent everywhere.
    pub grant_tokens: Vec<String>,
    /// Only ask whether it would be allowed; the answer is always a [`Refusal`].
    pub dry_run: bool,
}

impl Decrypt {
    /// A request to decrypt `ciphertext_blob`, nothing else given.
    pub fn blob(ciphertext_blob: impl Into<Vec<u8>>) -> Self {
        Self {
            ciphertext_blob: ciphertext_blob.into(),
            key_id: None,
            encryption_context: EncryptionContext::new(),
            grant_tokens: Vec::new(),
            dry_run: false,
        }
    }
}

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

/// Everything but the key.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("key_id", &self.key_id)
            .field("bytes", &self.plaintext.len())
            .finish_non_exhaustive()
    }
}

/// What Decrypt released.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The plaintext; cleared on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// ARN of the key that opened it.
    pub key_id: String,
}

/// Everything but the plaintext.
impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A client of one broker. It keeps one connection alive and sends one request at a time over it; tasks that want
/// parallel requests hold a client each and may share the [`Recipient`].
#[derive(Debug)]
pub struct BrokerClient {
    connection: HttpConnection,
    recipient: Arc<Recipient>,
    credentials: Option<Credentials>,
    omits_recipient: bool,
}

impl BrokerClient {
    /// A client that sends no AWS credentials: the broker knows it by its attestation document alone.
    ///
    /// # Errors
    /// When endpoint and security do not go together: `https` needs TLS, `http` has none.
    pub fn new(
        endpoint: Endpoint,
        security: TransportSecurity,
        recipient: Arc<Recipient>,
    ) -> Result<Self, TransportError> {
        let connection = HttpConnection::new(endpoint, security)?;
        Ok(Self { connection, recipient, credentials: None, omits_recipient: false })
    }

    /// The same client, signing each request.
    pub fn signing_with(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The same client, leaving `Recipient` out, to show that a broker then refuses.
    pub fn omitting_recipient(mut self) -> Self {
        self.omits_recipient = true;
        self
    }

    /// Whose key the answers are encrypted to.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Obtains a new data key.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn generate_data_key(&self, request: &GenerateDataKey) -> Result<DataKey, ClientError> {
        let GenerateDataKey { key_id, length, encryption_context, grant_tokens, dry_run } = request;
        let (key_spec, number_of_bytes) = match *length {
            DataKeyLength::Aes256 => (Some("AES_256"), None),
            DataKeyLength::Aes128 => (Some("AES_128"), None),
            DataKeyLength::Bytes(bytes) => (None, Some(bytes)),
        };
        let response = self
            .call(&GenerateDataKeyRequest {
                key_id,
                key_spec,
                number_of_bytes,
                common: Common {
                    encryption_context,
                    grant_tokens,
                    dry_run: *dry_run,
                    recipient: self.recipient_info()?,
                },
            })
            .await?;

        let plaintext = self.open(response.plaintext, response.ciphertext_for_recipient)?;
        let ciphertext_blob = wire::require_ciphertext_blob(response.ciphertext_blob)?;
        let answered = wire::require_key_id(response.key_id)?;
        check_same_key(key_id, &answered)?;
        if plaintext.len() != length.bytes() {
            return Err(ClientError::DataKeyLength { expected: length.bytes(), actual: plaintext.len() });
        }
        Ok(DataKey { plaintext, ciphertext_blob, key_id: answered })
    }

    /// Has a ciphertext opened, a data key's for instance.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn decrypt(&self, request: &Decrypt) -> Result<Decrypted, ClientError> {
        let Decrypt { ciphertext_blob, key_id, encryption_context, grant_tokens, dry_run } = request;
        let response = self
            .call(&DecryptRequest {
                ciphertext_blob,
                key_id: key_id.as_deref(),
                common: Common {
                    encryption_context,
                    grant_tokens,
                    dry_run: *dry_run,
                    recipient: self.recipient_info()?,
                },
            })
            .await?;

        let plaintext = self.open(response.plaintext, response.ciphertext_for_recipient)?;
        let answered = wire::require_key_id(response.key_id)?;
        if let Some(asked) = key_id {
            check_same_key(asked, &answered)?;
        }
        Ok(Decrypted { plaintext, key_id: answered })
    }

    async fn call<O: Operation>(&self, operation: &O) -> Result<O::Response, ClientError> {
        let body = serde_json::to_vec(operation).map_err(|error| ClientError::Request(error.to_string()))?;
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("host", self.connection.host().to_owned()),
            ("x-amz-target", O::TARGET.to_owned()),
        ];
        if let Some(credentials) = &self.credentials {
            let signed: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            headers.extend(sigv4::sign(credentials, "kms", &signed, &body, SystemTime::now())?);
        }
        let answer = self.connection.post(&headers, body.into()).await?;
        match answer.status {
            200 => wire::parse_response(&answer.body),
            status => Err(wire::parse_refusal(status, answer.request_id.as_deref(), &answer.body)),
        }
    }

    fn recipient_info(&self) -> Result<Option<RecipientInfo>, ClientError> {
        if self.omits_recipient {
            return Ok(None);
        }
        Ok(Some(RecipientInfo::new(self.recipient.attestation_document()?)))
    }

    fn open(&self, plaintext: Presence, envelope: Option<Blob>) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        if plaintext == Presence::Present {
            return Err(ClientError::PlaintextReleased);
        }
        let Blob(envelope) =
            envelope.ok_or(ClientError::MissingMember { member: "CiphertextForRecipient" })?;
        Ok(cms::open_enveloped_data(&envelope, self.recipient.key())?)
    }
}

/// A key ARN answers to itself and to the key id it ends in. An alias can stand for any key.
fn check_same_key(asked: &str, answered: &str) -> Result<(), ClientError> {
    let is_alias = asked.starts_with("alias/") || asked.contains(":alias/");
    let is_same =
        asked == answered || answered.rsplit_once(":key/").is_some_and(|(_, key_id)| key_id == asked);
    if is_alias || is_same {
        Ok(())
    } else {
        Err(ClientError::OtherKey { asked: asked.to_owned(), answered: answered.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_be_about_the_key_asked_for() {
        const ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        for asked in [
            ARN,
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/files",
            "arn:aws:kms:us-east-1:000000000000:alias/files",
        ] {
            assert!(check_same_key(asked, ARN).is_ok(), "{asked}");
        }
        for asked in ["90ab", "arn:aws:kms:us-east-1:000000000000:key/other", ""] {
            assert!(matches!(check_same_key(asked, ARN), Err(ClientError::OtherKey { .. })), "{asked}");
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
        let decrypted = Decrypted { plaintext: key.plaintext, key_id: key.key_id };
        assert_eq!(format!("{decrypted:?}"), "Decrypted { key_id: \"arn\", .. }");
    }
}
