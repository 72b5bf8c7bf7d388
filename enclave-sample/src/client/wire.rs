//! The JSON of the operations, as the KMS service model defines them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{ClientError, Refusal};

/// Blobs of the model are 1–6,144 bytes.
const MAX_CIPHERTEXT_BLOB_BYTES: usize = 6144;

/// KeyIdType of the model is 1–2,048 characters.
const MAX_KEY_ID_CHARS: usize = 2048;

/// How much of an exception's text is kept, in characters: enough for every reason a policy can give.
const MAX_MESSAGE_CHARS: usize = 4096;

/// How `Recipient` reads on the wire.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RecipientInfo<'a> {
    key_encryption_algorithm: &'static str,
    #[serde(serialize_with = "blob::serialize")]
    attestation_document: &'a [u8],
}

impl<'a> RecipientInfo<'a> {
    pub(super) fn new(attestation_document: &'a [u8]) -> Self {
        Self { key_encryption_algorithm: "RSAES_OAEP_SHA_256", attestation_document }
    }
}

/// A request and the document that it shows.
#[derive(Serialize)]
pub(super) struct Attested<'a, R> {
    #[serde(flatten)]
    pub(super) request: &'a R,
    #[serde(rename = "Recipient", skip_serializing_if = "Option::is_none")]
    pub(super) recipient: Option<RecipientInfo<'a>>,
}

/// Whether a member stands there, even as null. Its value is not kept.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Presence {
    #[default]
    Absent,
    Present,
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self::Present)
    }
}

/// A member of type blob: base64 text.
pub(super) struct Blob(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
                BASE64.decode(text).map(Blob).map_err(|_| E::custom("invalid base64"))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A required member of type blob, as `#[serde(with = "blob")]`.
pub(super) mod blob {
    use super::*;

    pub(in crate::client) fn serialize<S: Serializer>(
        bytes: impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(in crate::client) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        Blob::deserialize(deserializer).map(|Blob(bytes)| bytes)
    }
}

/// Whether a flag need not be sent.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// Parses the body of a response with status 200.
pub(super) fn parse_response<R: DeserializeOwned>(body: &[u8]) -> Result<R, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Json(error.to_string()))
}

/// A ciphertext that must be there.
pub(super) fn require_ciphertext_blob(
    blob: Option<Blob>,
    member: &'static str,
) -> Result<Vec<u8>, ClientError> {
    let Blob(blob) = blob.ok_or(ClientError::MissingMember { member })?;
    if (1..=MAX_CIPHERTEXT_BLOB_BYTES).contains(&blob.len()) {
        Ok(blob)
    } else {
        Err(ClientError::InvalidMember { member, problem: "not 1 to 6144 bytes" })
    }
}

/// A KeyId that must be there.
pub(super) fn require_key_id(key_id: Option<String>) -> Result<String, ClientError> {
    const MEMBER: &str = "KeyId";
    let key_id = key_id.ok_or(ClientError::MissingMember { member: MEMBER })?;
    if key_id.is_empty() || key_id.chars().count() > MAX_KEY_ID_CHARS || key_id.contains(char::is_control) {
        return Err(ClientError::InvalidMember {
            member: MEMBER,
            problem: "not 1 to 2048 visible characters",
        });
    }
    Ok(key_id)
}

/// Parses the body of a response with another status.
pub(super) fn parse_refusal(status: u16, request_id: Option<&str>, body: &[u8]) -> ClientError {
    #[derive(Deserialize)]
    struct Exception {
        #[serde(rename = "__type")]
        code: String,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let Ok(Exception { code, message }) = serde_json::from_slice(body) else {
        return ClientError::UnexpectedStatus { status };
    };
    // `com.amazonaws.kms#NotFoundException` is tolerated by every client.
    let code = code.rsplit('#').next().unwrap_or_default();
    ClientError::Refused(Refusal {
        status,
        code: printable(code),
        message: printable(message.as_deref().unwrap_or("(no message)")),
        request_id: request_id.map(printable),
    })
}

/// The text without what could drive a terminal, cut to a length that fits one.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Response {
        #[serde(default)]
        plaintext: Presence,
        #[serde(rename = "CiphertextForRecipient")]
        _envelope: Option<Blob>,
    }

    #[test]
    fn a_recipient_is_added_to_the_members_of_the_request() {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Request {
            number_of_bytes: u32,
        }
        let request = Request { number_of_bytes: 7 };
        let write = |recipient| serde_json::to_value(Attested { request: &request, recipient }).unwrap();
        assert_eq!(write(None), serde_json::json!({"NumberOfBytes": 7}));
        assert_eq!(
            write(Some(RecipientInfo::new(b"document"))),
            serde_json::json!({
                "NumberOfBytes": 7,
                "Recipient": {
                    "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
                    "AttestationDocument": "ZG9jdW1lbnQ=",
                },
            })
        );
    }

    #[test]
    fn plaintext_is_noticed_in_every_form_and_its_value_dropped() {
        for body in [r#"{"Plaintext":"c2VjcmV0"}"#, r#"{"Plaintext":null}"#, r#"{"Plaintext":{"a":[]}}"#] {
            let response: Response = parse_response(body.as_bytes()).unwrap();
            assert!(response.plaintext == Presence::Present, "{body}");
        }
        let response: Response = parse_response(b"{}").unwrap();
        assert!(response.plaintext == Presence::Absent);
    }

    #[test]
    fn exceptions_are_read_in_each_spelling() {
        let refusal = |body: &str| match parse_refusal(400, Some("id"), body.as_bytes()) {
            ClientError::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        let expected = Refusal {
            status: 400,
            code: "NotFoundException".to_owned(),
            message: "gone".to_owned(),
            request_id: Some("id".to_owned()),
        };
        for body in [
            r#"{"__type":"NotFoundException","message":"gone"}"#,
            r#"{"__type":"com.amazonaws.kms#NotFoundException","Message":"gone"}"#,
            r#"{"__type":"NotFoundException","message":"go\u001bne\n","extra":1}"#,
        ] {
            assert_eq!(refusal(body), expected, "{body}");
        }
        for body in ["", "{}", "<html>", r#"{"message":"no type"}"#, r#"{"__type":7}"#] {
            let error = parse_refusal(502, None, body.as_bytes());
            assert!(matches!(error, ClientError::UnexpectedStatus { status: 502 }), "{body}");
        }
    }

    #[test]
    fn members_must_have_possible_values() {
        let invalid = |result: Result<String, ClientError>| result.unwrap_err().to_string();
        assert_eq!(invalid(require_key_id(None)), "the broker's answer has no KeyId");
        for bad in ["", "a\nb", &"x".repeat(2049)] {
            assert_eq!(
                invalid(require_key_id(Some(bad.to_owned()))),
                "the broker's answer has an invalid KeyId: not 1 to 2048 visible characters"
            );
        }
        assert!(require_ciphertext_blob(Some(Blob(vec![0; 6144])), "B").is_ok());
        assert!(require_ciphertext_blob(Some(Blob(vec![0; 6145])), "B").is_err());
        assert!(require_ciphertext_blob(Some(Blob(Vec::new())), "B").is_err());
        assert!(parse_response::<Response>(br#"{"CiphertextForRecipient":"%"}"#).is_err());
    }
}
