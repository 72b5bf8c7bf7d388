use aws_nitro_enclaves_cose::CoseSign1;
use aws_nitro_enclaves_cose::crypto::{Hash, MessageDigest, SignatureAlgorithm, SigningPublicKey};
use aws_nitro_enclaves_cose::error::CoseError;
use p384::ecdsa::signature::hazmat::PrehashVerifier;
use p384::ecdsa::{Signature, VerifyingKey};
use serde_cbor::Value;
use serde_json::json;
use sha2::{Digest, Sha256, Sha384, Sha512};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Somebody else's idea of an attestation document.
#[derive(Clone, Copy)]
pub enum Peer {
    /// The crate `nitro_attest`: syntax, path, signature.
    NitroAttest,
    /// The crate `attestation-doc-validation`: syntax, path, signature. It reads the system clock.
    AttestationDocValidation,
    /// The crate `aws-nitro-enclaves-cose` with a key of the crate `p384`: the signature by whatever leaf is inside.
    AwsNitroEnclavesCose,
    /// The crate `serde_cbor`: the types of the fields, and what they say.
    SerdeCbor,
}

pub enum Judgement {
    /// With what was found, as JSON, where the peer decodes and nothing more.
    Accepted(String),
    Refused(String),
}

impl Peer {
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "nitro_attest" => Ok(Peer::NitroAttest),
            "attestation-doc-validation" => Ok(Peer::AttestationDocValidation),
            "aws-nitro-enclaves-cose" => Ok(Peer::AwsNitroEnclavesCose),
            "serde_cbor" => Ok(Peer::SerdeCbor),
            other => Err(format!("no such peer: {other:.40}")),
        }
    }

    pub fn judge(self, now_ms: u64, document: &[u8]) -> Judgement {
        let found = match self {
            Peer::NitroAttest => nitro_attest(now_ms, document),
            Peer::AttestationDocValidation => {
                let verdict = attestation_doc_validation::validate_and_parse_attestation_doc(document);
                verdict.map(|_| String::new()).map_err(|error| error.to_string())
            }
            Peer::AwsNitroEnclavesCose => signature_alone(document).map(|()| String::new()),
            Peer::SerdeCbor => decode(document).map(|fields| fields.to_string()),
        };
        found.map_or_else(Judgement::Refused, Judgement::Accepted)
    }
}

fn nitro_attest(now_ms: u64, document: &[u8]) -> Result<String, String> {
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now_ms) * 1_000_000)
        .map_err(|error| error.to_string())?;
    let document = nitro_attest::UnparsedAttestationDoc::from(document);
    document.parse_and_verify(now).map(|_| String::new()).map_err(|error| error.to_string())
}

/// Whether the document is signed by the certificate in it, whoever made that.
fn signature_alone(document: &[u8]) -> Result<(), String> {
    let signed = CoseSign1::from_bytes(document).map_err(|error| format!("{error:?}"))?;
    let payload = signed.get_payload::<RustCryptoHash>(None).map_err(|error| format!("{error:?}"))?;
    let key = leaf_key(&payload)?;
    match signed.verify_signature::<RustCryptoHash>(&RustCryptoKey(key)) {
        Ok(true) => Ok(()),
        Ok(false) => Err("the signature does not verify".to_owned()),
        Err(error) => Err(format!("{error:?}")),
    }
}

fn leaf_key(payload: &[u8]) -> Result<VerifyingKey, String> {
    let Ok(Value::Map(fields)) = serde_cbor::from_slice(payload) else { return Err("no map".to_owned()) };
    let Some(Value::Bytes(leaf)) = fields.get(&Value::Text("certificate".to_owned())) else {
        return Err("no leaf".to_owned());
    };
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
    let point = &leaf.public_key().subject_public_key.data;
    VerifyingKey::from_sec1_bytes(point).map_err(|error| error.to_string())
}

/// The tag that a COSE_Sign1 may have (RFC 9052 section 2).
const COSE_SIGN1_TAG: u64 = 18;

struct RustCryptoHash;

impl Hash for RustCryptoHash {
    fn hash(digest: MessageDigest, data: &[u8]) -> Result<Vec<u8>, CoseError> {
        Ok(match digest {
            MessageDigest::Sha256 => Sha256::digest(data).to_vec(),
            MessageDigest::Sha384 => Sha384::digest(data).to_vec(),
            MessageDigest::Sha512 => Sha512::digest(data).to_vec(),
        })
    }
}

struct RustCryptoKey(VerifyingKey);

impl SigningPublicKey for RustCryptoKey {
    fn get_parameters(&self) -> Result<(SignatureAlgorithm, MessageDigest), CoseError> {
        Ok((SignatureAlgorithm::ES384, MessageDigest::Sha384))
    }

    fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<bool, CoseError> {
        let Ok(signature) = Signature::from_slice(signature) else { return Ok(false) };
        Ok(self.0.verify_prehash(digest, &signature).is_ok())
    }
}

/// The nine fields, each of its own type; no other rule than that.
fn decode(document: &[u8]) -> Result<serde_json::Value, String> {
    let malformed = |error: serde_cbor::Error| error.to_string();
    let untagged = match serde_cbor::from_slice(document).map_err(malformed)? {
        Value::Tag(COSE_SIGN1_TAG, tagged) => *tagged,
        other => other,
    };
    let Value::Array(elements) = untagged else { return Err("the document is no array".to_owned()) };
    let [Value::Bytes(_), Value::Map(_), Value::Bytes(payload), Value::Bytes(_)] = elements.as_slice() else {
        return Err("the document is no COSE_Sign1".to_owned());
    };
    let Value::Map(fields) = serde_cbor::from_slice(payload).map_err(malformed)? else {
        return Err("the payload is no map".to_owned());
    };
    let field = |name: &str| fields.get(&Value::Text(name.to_owned())).ok_or(format!("no {name}"));
    Ok(json!({
        "module_id": text(field("module_id")?)?,
        "digest": text(field("digest")?)?,
        "timestamp": unsigned(field("timestamp")?)?,
        "pcrs": pcrs(field("pcrs")?)?,
        "certificate": bytes(field("certificate")?)?,
        "cabundle": byte_strings(field("cabundle")?)?,
        "public_key": bytes_or_null(field("public_key")?)?,
        "user_data": bytes_or_null(field("user_data")?)?,
        "nonce": bytes_or_null(field("nonce")?)?,
    }))
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("no text: {other:?}")),
    }
}

fn unsigned(value: &Value) -> Result<u64, String> {
    match value {
        Value::Integer(number) => u64::try_from(*number).map_err(|_| format!("not of 64 bits: {number}")),
        other => Err(format!("no integer: {other:?}")),
    }
}

fn bytes(value: &Value) -> Result<String, String> {
    match value {
        Value::Bytes(bytes) => Ok(hex::encode(bytes)),
        other => Err(format!("no bytes: {other:?}")),
    }
}

fn bytes_or_null(value: &Value) -> Result<Option<String>, String> {
    if *value == Value::Null { Ok(None) } else { bytes(value).map(Some) }
}

fn byte_strings(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().map(bytes).collect(),
        other => Err(format!("no array: {other:?}")),
    }
}

fn pcrs(value: &Value) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let Value::Map(pcrs) = value else { return Err(format!("no map: {value:?}")) };
    pcrs.iter().map(|(index, value)| Ok((unsigned(index)?.to_string(), bytes(value)?.into()))).collect()
}
