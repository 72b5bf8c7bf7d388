//! A client of the AWS KMS wire protocol (AWS JSON 1.1) that always asks for `CiphertextForRecipient`.
//!
//! It authenticates the broker with TLS and a pinned CA or key unless told otherwise, shows an attestation document
//! with each request, opens the envelope that comes back, and checks the answer against what was asked.

mod credentials;
mod endpoint;
mod error;
mod operations;
mod pool;
mod retry;
mod sigv4;
mod tls;
mod transport;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::rand;
use hyper::body::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

pub use self::credentials::{CredentialSource, CredentialsError};
pub use self::endpoint::{Authority, Endpoint, InvalidEndpoint};
pub use self::error::{ClientError, KeyPairProblem, Refusal};
use self::operations::Envelope;
pub use self::operations::{
    DataKey, DataKeyLength, DataKeyPair, Decrypt, Decrypted, DeriveSharedSecret, GenerateDataKey,
    GenerateDataKeyPair, GenerateRandom, InvalidLength, KeyPairSpec, Operation, SharedSecret,
};
use self::pool::Pool;
pub use self::pool::{Answer, MAX_CONNECTIONS, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT};
pub use self::retry::RetryPolicy;
pub use self::sigv4::{Credentials, MissingCredential, UnsignableTime, region_from_env};
pub use self::tls::{InvalidKeyPin, KeyPin, TlsTrust};
pub use self::transport::{CONNECT_TIMEOUT, DEFAULT_SERVER_NAME, TransportError, TransportSecurity};
use self::wire::{Attested, RecipientInfo};
use crate::recipient::{AttestedKey, Recipient, RecipientKey};

/// Pairs that are bound to a ciphertext and must be given again to decrypt it. They are not secret.
pub type EncryptionContext = BTreeMap<String, String>;

/// What the operations' names begin with in `X-Amz-Target`.
const SERVICE: &str = "TrentService.";

/// A client of one broker. Tasks share it: each request has a connection of its own while it lasts, and connections
/// are reused.
#[derive(Debug)]
pub struct BrokerClient {
    pool: Pool,
    recipient: Arc<Recipient>,
    credentials: Option<CredentialSource>,
    retry: RetryPolicy,
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
        Ok(Self {
            pool: Pool::new(endpoint, security)?,
            recipient,
            credentials: None,
            retry: RetryPolicy::default(),
            omits_recipient: false,
        })
    }

    /// The same client, signing each request.
    pub fn signing_with(mut self, credentials: impl Into<CredentialSource>) -> Self {
        self.credentials = Some(credentials.into());
        self
    }

    /// The same client with another policy than the default.
    pub fn retrying(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same client, leaving `Recipient` out, to show that a broker then refuses.
    pub fn omitting_recipient(mut self) -> Self {
        self.omits_recipient = true;
        self
    }

    /// Whose key the answers are encrypted to.
    pub fn recipient(&self) -> &Arc<Recipient> {
        &self.recipient
    }

    /// Obtains a new data key.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn generate_data_key(&self, request: &GenerateDataKey) -> Result<DataKey, ClientError> {
        self.ask(request).await
    }

    /// Has a ciphertext opened, a data key's for instance.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn decrypt(&self, request: &Decrypt) -> Result<Decrypted, ClientError> {
        self.ask(request).await
    }

    /// Obtains a new key pair.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn generate_data_key_pair(
        &self,
        request: &GenerateDataKeyPair,
    ) -> Result<DataKeyPair, ClientError> {
        self.ask(request).await
    }

    /// Obtains random bytes.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn generate_random(&self, number_of_bytes: u32) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.ask(&GenerateRandom { number_of_bytes }).await
    }

    /// Has a shared secret derived.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn derive_shared_secret(
        &self,
        request: &DeriveSharedSecret,
    ) -> Result<SharedSecret, ClientError> {
        self.ask(request).await
    }

    /// Any of the above.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the broker's exception, or the step that failed.
    pub async fn ask<O: Operation>(&self, request: &O) -> Result<O::Answer, ClientError> {
        let send = || async {
            let attested = self.attested_key().await?;
            let recipient = attested.as_deref().map(|attested| RecipientInfo::new(attested.document()));
            let body = serde_json::to_vec(&Attested { request, recipient })
                .map_err(|error| ClientError::Request(error.to_string()))?;
            let answer = self.post(O::NAME, body.into()).await?;
            match attested {
                Some(attested) => believe(request, &answer, attested.key()),
                None => believe(request, &answer, &self.recipient.key()),
            }
        };
        self.with_retries(send).await
    }

    /// Sends a request of any operation as it is, and gives its answer back as it is; only failures that can pass are
    /// tried again. For those who add `Recipient` and open the answer themselves.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn forward(&self, operation: &str, body: Bytes) -> Result<Answer, ClientError> {
        let last = Mutex::new(None);
        let send = || async {
            let answer = self.post(operation, body.clone()).await?;
            let error = match answer.status {
                200 => return Ok(answer),
                status => wire::parse_refusal(status, answer.request_id.as_deref(), &answer.body),
            };
            if !retry::is_worth_a_retry(&error) {
                return Ok(answer);
            }
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            Err(error)
        };
        let result = self.with_retries(send).await;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (result, last) {
            (Err(ClientError::Refused(_) | ClientError::UnexpectedStatus { .. }), Some(answer)) => Ok(answer),
            (result, _) => result,
        }
    }

    /// Sends until there is an answer, the policy says enough, or another try cannot help.
    async fn with_retries<T, F>(&self, mut send: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let deadline = Instant::now() + self.retry.deadline;
        let mut failed_attempts = 0;
        loop {
            let Ok(result) = timeout_at(deadline, send()).await else {
                return Err(ClientError::Timeout { after: self.retry.deadline });
            };
            let error = match result {
                Err(error) if retry::is_worth_a_retry(&error) => error,
                result => return result,
            };
            failed_attempts += 1;
            let delay = self.retry.delay(failed_attempts, random()?);
            if failed_attempts >= self.retry.max_attempts || Instant::now() + delay >= deadline {
                return Err(error);
            }
            sleep(delay).await;
        }
    }

    /// Posts once, freshly signed.
    async fn post(&self, operation: &str, body: Bytes) -> Result<Answer, ClientError> {
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("host", self.pool.host().to_owned()),
            ("x-amz-target", format!("{SERVICE}{operation}")),
        ];
        if let Some(source) = &self.credentials {
            let credentials = source.credentials()?;
            let signed: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            headers.extend(sigv4::sign(&credentials, "kms", &signed, &body, SystemTime::now())?);
        }
        self.pool.post(&headers, body).await
    }

    async fn attested_key(&self) -> Result<Option<Arc<AttestedKey>>, ClientError> {
        if self.omits_recipient {
            return Ok(None);
        }
        Ok(Some(self.recipient.attested_key_for_task().await?))
    }
}

/// What an answer holds, opened with `key`, if it is one to `request`.
///
/// # Errors
/// [`ClientError::Refused`] if it is an exception, or what makes the answer not one to believe.
pub fn believe<O: Operation>(
    request: &O,
    answer: &Answer,
    key: &RecipientKey,
) -> Result<O::Answer, ClientError> {
    match answer.status {
        200 => request.accept(wire::parse_response(&answer.body)?, Envelope::to(key)),
        status => Err(wire::parse_refusal(status, answer.request_id.as_deref(), &answer.body)),
    }
}

fn random() -> Result<u32, ClientError> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).map_err(|_| ClientError::Random)?;
    Ok(u32::from_ne_bytes(bytes))
}
