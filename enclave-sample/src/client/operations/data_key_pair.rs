//! GenerateDataKeyPair: a new asymmetric key pair, its private half once for use and once sealed.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PrivateDecryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::EncryptionContext;
use super::super::error::{ClientError, KeyPairProblem};
use super::super::wire::{self, Blob, Presence};
use super::sealed::Sealed;
use super::{Envelope, Operation, check_same_key, check_same_value};

/// A GenerateDataKeyPair request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPair {
    /// Key id, key ARN, `alias/NAME` or alias ARN of the symmetric key to seal under.
    pub key_id: String,
    /// The kind of pair.
    pub key_pair_spec: KeyPairSpec,
    /// Bound to the private key's ciphertext.
    #[serde(default, skip_serializing_if = "EncryptionContext::is_empty")]
    pub encryption_context: EncryptionContext,
    /// Grants not yet consistent everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_tokens: Vec<String>,
    /// Only ask whether it would be allowed; the answer is always a [`Refusal`](super::super::Refusal).
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub dry_run: bool,
}

impl GenerateDataKeyPair {
    /// A pair under `key_id`, nothing else given.
    pub fn new(key_id: impl Into<String>, key_pair_spec: KeyPairSpec) -> Self {
        Self {
            key_id: key_id.into(),
            key_pair_spec,
            encryption_context: EncryptionContext::new(),
            grant_tokens: Vec::new(),
            dry_run: false,
        }
    }
}

/// The kinds of key pair whose halves can be held against each other here. Of the service model's, SM2 and ML-KEM are
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the service model's")]
pub enum KeyPairSpec {
    #[serde(rename = "RSA_2048")]
    Rsa2048,
    #[serde(rename = "RSA_3072")]
    Rsa3072,
    #[serde(rename = "RSA_4096")]
    Rsa4096,
    #[serde(rename = "ECC_NIST_P256")]
    EccNistP256,
    #[serde(rename = "ECC_NIST_P384")]
    EccNistP384,
    #[serde(rename = "ECC_NIST_P521")]
    EccNistP521,
    #[serde(rename = "ECC_SECG_P256K1")]
    EccSecgP256k1,
    #[serde(rename = "ECC_NIST_EDWARDS25519")]
    EccNistEdwards25519,
}

impl KeyPairSpec {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EccNistP256,
        Self::EccNistP384,
        Self::EccNistP521,
        Self::EccSecgP256k1,
        Self::EccNistEdwards25519,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::EccNistP256 => "ECC_NIST_P256",
            Self::EccNistP384 => "ECC_NIST_P384",
            Self::EccNistP521 => "ECC_NIST_P521",
            Self::EccSecgP256k1 => "ECC_SECG_P256K1",
            Self::EccNistEdwards25519 => "ECC_NIST_EDWARDS25519",
        }
    }
}

impl FromStr for KeyPairSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|spec| spec.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// A key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKeyPair {
    /// The private key in PKCS#8, DER; cleared on drop.
    pub private_key: Zeroizing<Vec<u8>>,
    /// The public key, a DER SubjectPublicKeyInfo. It is that of `private_key`.
    pub public_key: Vec<u8>,
    /// The private key sealed, for Decrypt to open again.
    pub private_key_ciphertext_blob: Vec<u8>,
    /// The kind of pair.
    pub key_pair_spec: KeyPairSpec,
    /// ARN of the key that sealed it.
    pub key_id: String,
}

impl Operation for GenerateDataKeyPair {
    const NAME: &'static str = "GenerateDataKeyPair";
    const PLAINTEXT_MEMBER: &'static str = "PrivateKeyPlaintext";
    type Answer = DataKeyPair;
}

impl Sealed for GenerateDataKeyPair {
    type Response = Response;

    fn accept(&self, response: Response, envelope: Envelope<'_>) -> Result<DataKeyPair, ClientError> {
        let Response {
            private_key_plaintext,
            ciphertext_for_recipient,
            private_key_ciphertext_blob,
            public_key,
            key_id,
            key_pair_spec,
        } = response;
        let private_key =
            envelope.open(private_key_plaintext, Self::PLAINTEXT_MEMBER, ciphertext_for_recipient)?;
        let private_key_ciphertext_blob =
            wire::require_ciphertext_blob(private_key_ciphertext_blob, "PrivateKeyCiphertextBlob")?;
        let key_id = wire::require_key_id(key_id)?;
        check_same_key(&self.key_id, &key_id)?;
        check_same_value("KeyPairSpec", self.key_pair_spec.name(), key_pair_spec)?;
        let Blob(public_key) = public_key.ok_or(ClientError::MissingMember { member: "PublicKey" })?;
        if public_key_of(self.key_pair_spec, &private_key)? != public_key {
            return Err(ClientError::KeyPair(KeyPairProblem::Differs));
        }
        let key_pair_spec = self.key_pair_spec;
        Ok(DataKeyPair { private_key, public_key, private_key_ciphertext_blob, key_pair_spec, key_id })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(default)]
    private_key_plaintext: Presence,
    ciphertext_for_recipient: Option<Blob>,
    private_key_ciphertext_blob: Option<Blob>,
    public_key: Option<Blob>,
    key_id: Option<String>,
    key_pair_spec: Option<String>,
}

/// The DER SubjectPublicKeyInfo that belongs to a private key of this kind.
fn public_key_of(spec: KeyPairSpec, pkcs8_der: &[u8]) -> Result<Vec<u8>, ClientError> {
    let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::from_private_key_der(algorithm, pkcs8_der).ok()?;
        spki(pair.public_key())
    };
    let rsa = |bits: usize| {
        let key =
            PrivateDecryptingKey::from_pkcs8(pkcs8_der).ok().filter(|key| key.key_size_bits() == bits)?;
        spki(&key.public_key())
    };
    let public_key = match spec {
        KeyPairSpec::Rsa2048 => rsa(2048),
        KeyPairSpec::Rsa3072 => rsa(3072),
        KeyPairSpec::Rsa4096 => rsa(4096),
        KeyPairSpec::EccNistP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyPairSpec::EccNistP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyPairSpec::EccNistP521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyPairSpec::EccSecgP256k1 => ecdsa(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
        KeyPairSpec::EccNistEdwards25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8_der)
            .ok()
            .and_then(|pair| spki(pair.public_key())),
    };
    public_key.ok_or(ClientError::KeyPair(KeyPairProblem::PrivateKey))
}

fn spki(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Option<Vec<u8>> {
    key.as_der().ok().map(|der| der.as_ref().to_vec())
}

/// Everything but the private key.
impl fmt::Debug for DataKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeyPair")
            .field("key_id", &self.key_id)
            .field("key_pair_spec", &self.key_pair_spec)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_those_on_the_wire() {
        for spec in KeyPairSpec::ALL {
            assert_eq!(serde_json::to_value(spec).unwrap(), json!(spec.name()));
            assert_eq!(spec.name().parse(), Ok(spec));
        }
        assert!("SM2".parse::<KeyPairSpec>().unwrap_err().starts_with("expected one of RSA_2048, "));
    }

    #[test]
    fn a_private_key_of_another_kind_is_no_private_key() {
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let pkcs8 = p256.to_pkcs8v1().unwrap();
        let public = public_key_of(KeyPairSpec::EccNistP256, pkcs8.as_ref()).unwrap();
        assert_eq!(public.len(), 91);
        for spec in KeyPairSpec::ALL.into_iter().filter(|spec| *spec != KeyPairSpec::EccNistP256) {
            let error = public_key_of(spec, pkcs8.as_ref()).unwrap_err();
            assert!(matches!(error, ClientError::KeyPair(KeyPairProblem::PrivateKey)), "{}", spec.name());
        }
    }
}
