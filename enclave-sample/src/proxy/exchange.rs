//! One request to the broker, and the answer as its caller expects it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use zeroize::{Zeroize as _, Zeroizing};

use crate::client::{
    Answer, BrokerClient, ClientError, Decrypt, DeriveSharedSecret, GenerateDataKey, GenerateDataKeyPair,
    GenerateRandom, Operation, believe,
};

/// Where the secret comes sealed.
const ENVELOPE_MEMBER: &str = "CiphertextForRecipient";

/// Where the caller's own recipient would stand, and the proxy's goes.
const RECIPIENT_MEMBER: &str = "Recipient";

/// Room for an answer with a plaintext of 4,096 bytes, so that writing it never moves it to a larger buffer.
const ANSWER_BYTES: usize = 32 * 1024;

/// Sends a request of `operation` and yields the answer for the caller, the broker's exceptions included.
///
/// # Errors
/// When there is no answer, or none to believe.
pub(super) async fn run(client: &BrokerClient, operation: &str, body: Bytes) -> Result<Answer, ClientError> {
    match operation {
        GenerateDataKey::NAME => attested::<GenerateDataKey>(client, body).await,
        Decrypt::NAME => attested::<Decrypt>(client, body).await,
        GenerateDataKeyPair::NAME => attested::<GenerateDataKeyPair>(client, body).await,
        GenerateRandom::NAME => attested::<GenerateRandom>(client, body).await,
        DeriveSharedSecret::NAME => attested::<DeriveSharedSecret>(client, body).await,
        other => client.forward(other, body).await,
    }
}

/// The way of the five operations.
async fn attested<O: Operation>(client: &BrokerClient, body: Bytes) -> Result<Answer, ClientError>
where
    O::Answer: Secret,
{
    let mut request = match serde_json::from_slice(&body) {
        Ok(Value::Object(request)) if !request.contains_key(RECIPIENT_MEMBER) => request,
        // The caller attests for itself; or the broker shall say what is wrong.
        _ => return client.forward(O::NAME, body).await,
    };
    let attested = client.recipient().attested_key_for_task().await?;
    let asked = Value::Object(request.clone());
    request.insert(
        RECIPIENT_MEMBER.to_owned(),
        json!({
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
            "AttestationDocument": BASE64.encode(attested.document()),
        }),
    );
    let body = serde_json::to_vec(&request).map_err(|error| ClientError::Request(error.to_string()))?;
    let answer = client.forward(O::NAME, body.into()).await?;
    if answer.status != 200 {
        return Ok(answer);
    }
    // The broker understood the request, so it is one; if not, nothing can be said of the answer.
    let asked: O = serde_json::from_value(asked).map_err(|error| ClientError::Json(error.to_string()))?;
    let secret = believe(&asked, &answer, attested.key())?.into_secret();
    let mut members: Map<String, Value> =
        serde_json::from_slice(&answer.body).map_err(|error| ClientError::Json(error.to_string()))?;
    members.remove(ENVELOPE_MEMBER);
    let body = with_secret(members, O::PLAINTEXT_MEMBER, &secret)?;
    Ok(Answer { body: Bytes::from_owner(body), ..answer })
}

/// The JSON of `members` and the secret, wiped once it is sent.
fn with_secret(
    mut members: Map<String, Value>,
    member: &'static str,
    secret: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    members.insert(member.to_owned(), Value::String(BASE64.encode(secret)));
    let mut text = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES));
    let written = serde_json::to_writer(&mut *text, &members);
    if let Some(Value::String(secret)) = members.get_mut(member) {
        secret.zeroize();
    }
    written.map_err(|error| ClientError::Json(error.to_string()))?;
    Ok(text)
}

/// What an operation is called for.
trait Secret {
    fn into_secret(self) -> Zeroizing<Vec<u8>>;
}

impl Secret for crate::client::DataKey {
    fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self.plaintext
    }
}

impl Secret for crate::client::Decrypted {
    fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self.plaintext
    }
}

impl Secret for crate::client::DataKeyPair {
    fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self.private_key
    }
}

impl Secret for Zeroizing<Vec<u8>> {
    fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self
    }
}

impl Secret for crate::client::SharedSecret {
    fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self.shared_secret
    }
}

/// What the proxy itself answers, in the form of KMS's exceptions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Exception {
    pub(super) fn unknown_operation(message: impl Into<String>) -> Self {
        Self { status: 400, code: "UnknownOperationException", message: message.into() }
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self { status: 400, code: "SerializationException", message: message.into() }
    }
}

/// Failures on the way are the service's to the caller, who may try again; SDKs do.
impl From<&ClientError> for Exception {
    fn from(error: &ClientError) -> Self {
        let code = match error {
            ClientError::Transport(_) | ClientError::Http(_) | ClientError::Timeout { .. } => {
                "DependencyTimeoutException"
            }
            _ => "KMSInternalException",
        };
        Self { status: 500, code, message: format!("enclave proxy: {error}") }
    }
}
