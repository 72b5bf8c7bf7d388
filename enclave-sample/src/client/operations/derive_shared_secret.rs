//! DeriveSharedSecret: ECDH between a key of the service and somebody's public key.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::error::ClientError;
use super::super::wire::{self, Blob, Presence};
use super::sealed::Sealed;
use super::{Envelope, Operation, check_length, check_same_key, check_same_value};

/// The one algorithm of the service model.
const ECDH: &str = "ECDH";

/// A DeriveSharedSecret request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeriveSharedSecret {
    /// Key id, key ARN, `alias/NAME` or alias ARN of a key whose usage is KEY_AGREEMENT.
    pub key_id: String,
    /// `ECDH`.
    pub key_agreement_algorithm: String,
    /// The other party's key, a DER SubjectPublicKeyInfo on the key's curve.
    #[serde(with = "wire::blob")]
    pub public_key: Vec<u8>,
    /// Grants not yet consistent everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_tokens: Vec<String>,
    /// Only ask whether it would be allowed; the answer is always a [`Refusal`](super::super::Refusal).
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub dry_run: bool,
}

impl DeriveSharedSecret {
    /// ECDH between `key_id` and `public_key`, nothing else given.
    pub fn ecdh(key_id: impl Into<String>, public_key: impl Into<Vec<u8>>) -> Self {
        Self {
            key_id: key_id.into(),
            key_agreement_algorithm: ECDH.to_owned(),
            public_key: public_key.into(),
            grant_tokens: Vec::new(),
            dry_run: false,
        }
    }
}

/// What both parties can compute and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret {
    /// The raw secret, the x coordinate; cleared on drop. Derive keys from it, do not use it as one.
    pub shared_secret: Zeroizing<Vec<u8>>,
    /// ARN of the key of the service.
    pub key_id: String,
}

impl Operation for DeriveSharedSecret {
    const NAME: &'static str = "DeriveSharedSecret";
    const PLAINTEXT_MEMBER: &'static str = "SharedSecret";
    type Answer = SharedSecret;
}

impl Sealed for DeriveSharedSecret {
    type Response = Response;

    fn accept(&self, response: Response, envelope: Envelope<'_>) -> Result<SharedSecret, ClientError> {
        let Response { shared_secret, ciphertext_for_recipient, key_id, key_agreement_algorithm } = response;
        let secret = envelope.open(shared_secret, Self::PLAINTEXT_MEMBER, ciphertext_for_recipient)?;
        let key_id = wire::require_key_id(key_id)?;
        check_same_key(&self.key_id, &key_id)?;
        check_same_value("KeyAgreementAlgorithm", &self.key_agreement_algorithm, key_agreement_algorithm)?;
        if let Some(expected) = coordinate_bytes(&self.public_key) {
            check_length(&secret, expected)?;
        }
        Ok(SharedSecret { shared_secret: secret, key_id })
    }
}

/// The length of a coordinate on the public key's curve: the SubjectPublicKeyInfo of an uncompressed point on a NIST
/// curve has one length for each. Other forms are the service's to judge.
fn coordinate_bytes(spki_der: &[u8]) -> Option<usize> {
    match spki_der.len() {
        91 => Some(32),
        120 => Some(48),
        158 => Some(66),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(default)]
    shared_secret: Presence,
    ciphertext_for_recipient: Option<Blob>,
    key_id: Option<String>,
    key_agreement_algorithm: Option<String>,
}

/// Everything but the secret.
impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey};
    use aws_lc_rs::encoding::AsDer as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_has_the_length_of_a_coordinate() {
        for (algorithm, expected) in [(&ECDH_P256, 32), (&ECDH_P384, 48), (&ECDH_P521, 66)] {
            let public = PrivateKey::generate(algorithm).unwrap().compute_public_key().unwrap();
            assert_eq!(coordinate_bytes(public.as_der().unwrap().as_ref()), Some(expected));
        }
        assert_eq!(coordinate_bytes(b"something else"), None);
    }

    #[test]
    fn a_request_reads_and_writes_as_the_service_model_has_it() {
        let request = DeriveSharedSecret::ecdh("k", b"key");
        let written = json!({"KeyId": "k", "KeyAgreementAlgorithm": "ECDH", "PublicKey": "a2V5"});
        assert_eq!(serde_json::to_value(&request).unwrap(), written);
        assert_eq!(serde_json::from_value::<DeriveSharedSecret>(written).unwrap(), request);
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = SharedSecret { shared_secret: Zeroizing::new(vec![7; 32]), key_id: "arn".to_owned() };
        assert_eq!(format!("{secret:?}"), "SharedSecret { key_id: \"arn\", .. }");
    }
}
