use super::key::Key;
use super::key_identifier::KeyArn;
use super::key_spec::{KeySpec, KeyUsage};
use crate::crypto::{HmacDigest, KeyPairKind, OaepDigest, SignatureScheme};

/// What a key encrypts and decrypts with (KMS API reference, *Encrypt*, `EncryptionAlgorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionAlgorithm {
    /// `SYMMETRIC_DEFAULT`: the seal of [`CiphertextBlob`](super::CiphertextBlob).
    SymmetricDefault,
    /// `RSAES_OAEP_SHA_1`, `RSAES_OAEP_SHA_256`.
    RsaesOaep(OaepDigest),
    /// `SM2PKE`, of keys that KMS has in China only.
    Sm2Pke,
}

/// How a key of a certain spec encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionScheme {
    /// As a [`CiphertextBlob`](super::CiphertextBlob).
    Symmetric,
    /// Under RSAES-OAEP, to the key's public half.
    Rsa {
        /// The digest of the padding.
        digest: OaepDigest,
        /// Bytes of a plaintext at most.
        max_plaintext_len: usize,
    },
}

/// What a key signs with (KMS API reference, *Sign*, `SigningAlgorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// `RSASSA_PSS_SHA_256`.
    RsassaPssSha256,
    /// `RSASSA_PSS_SHA_384`.
    RsassaPssSha384,
    /// `RSASSA_PSS_SHA_512`.
    RsassaPssSha512,
    /// `RSASSA_PKCS1_V1_5_SHA_256`.
    RsassaPkcs1Sha256,
    /// `RSASSA_PKCS1_V1_5_SHA_384`.
    RsassaPkcs1Sha384,
    /// `RSASSA_PKCS1_V1_5_SHA_512`.
    RsassaPkcs1Sha512,
    /// `ECDSA_SHA_256`, on P-256 and secp256k1.
    EcdsaSha256,
    /// `ECDSA_SHA_384`, on P-384.
    EcdsaSha384,
    /// `ECDSA_SHA_512`, on P-521.
    EcdsaSha512,
    /// `ED25519_SHA_512`.
    Ed25519Sha512,
    /// `ED25519_PH_SHA_512`. aws-lc-rs does not offer Ed25519ph, so no key here has it.
    Ed25519PhSha512,
    /// `SM2DSA`, of keys that KMS has in China only.
    Sm2Dsa,
    /// `ML_DSA_SHAKE_256`, of keys that are not made here.
    MlDsaShake256,
}

/// What a key makes MACs with, `HMAC_SHA_<bits>` (KMS API reference, *GenerateMac*, `MacAlgorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAlgorithm(HmacDigest);

/// What a key agrees on a secret with (KMS API reference, *DeriveSharedSecret*, `KeyAgreementAlgorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAgreementAlgorithm {
    /// `ECDH`: the cofactor Diffie-Hellman primitive of NIST SP 800-56A section 5.7.1.2, without a key derivation.
    Ecdh,
}

/// Why a key does not do what is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyUsageError {
    /// It is for something else.
    #[error("{key} key usage is {usage} which is not valid for {operation}.", usage = .usage.name())]
    Usage {
        /// The key.
        key: KeyArn,
        /// What it is for.
        usage: KeyUsage,
        /// The operation.
        operation: &'static str,
    },
    /// It is made of something else.
    #[error("Algorithm {algorithm} is incompatible with key spec {spec}.", spec = .spec.name())]
    Algorithm {
        /// The algorithm.
        algorithm: &'static str,
        /// What the key is made of.
        spec: KeySpec,
    },
}

impl Key {
    /// Requires that the key is for `usage`, which `operation` needs.
    ///
    /// # Errors
    /// [`KeyUsageError::Usage`].
    pub fn require_usage(&self, usage: KeyUsage, operation: &'static str) -> Result<(), KeyUsageError> {
        if self.usage == usage {
            return Ok(());
        }
        Err(KeyUsageError::Usage { key: self.arn.clone(), usage: self.usage, operation })
    }

    /// The names of everything that the key encrypts with, none if it is not for that.
    pub fn encryption_algorithms(&self) -> Vec<&'static str> {
        let algorithms =
            EncryptionAlgorithm::ALL.into_iter().filter(|algorithm| algorithm.scheme(self.spec).is_some());
        self.names_for(KeyUsage::EncryptDecrypt, algorithms.map(EncryptionAlgorithm::name))
    }

    /// The names of everything that the key signs with, none if it is not for that.
    pub fn signing_algorithms(&self) -> Vec<&'static str> {
        let algorithms =
            SigningAlgorithm::ALL.into_iter().filter(|algorithm| algorithm.scheme(self.spec).is_some());
        self.names_for(KeyUsage::SignVerify, algorithms.map(SigningAlgorithm::name))
    }

    /// The name of what the key makes MACs with, none if it is not for that.
    pub fn mac_algorithms(&self) -> Vec<&'static str> {
        let algorithms =
            MacAlgorithm::ALL.into_iter().filter(|algorithm| self.spec == KeySpec::Hmac(algorithm.0));
        self.names_for(KeyUsage::GenerateVerifyMac, algorithms.map(MacAlgorithm::name))
    }

    /// The name of what the key agrees on secrets with, none if it is not for that.
    pub fn key_agreement_algorithms(&self) -> Vec<&'static str> {
        self.names_for(
            KeyUsage::KeyAgreement,
            KeyAgreementAlgorithm::ALL.into_iter().map(KeyAgreementAlgorithm::name),
        )
    }

    fn names_for(&self, usage: KeyUsage, names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
        if self.usage == usage { names.collect() } else { Vec::new() }
    }
}

impl EncryptionAlgorithm {
    /// Every algorithm of the service model.
    pub const ALL: [Self; 4] = [
        Self::SymmetricDefault,
        Self::RsaesOaep(OaepDigest::Sha1),
        Self::RsaesOaep(OaepDigest::Sha256),
        Self::Sm2Pke,
    ];

    /// Its name in the service model.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::RsaesOaep(OaepDigest::Sha1) => "RSAES_OAEP_SHA_1",
            Self::RsaesOaep(OaepDigest::Sha256) => "RSAES_OAEP_SHA_256",
            Self::Sm2Pke => "SM2PKE",
        }
    }

    /// How `key` encrypts with it, as `operation` needs.
    ///
    /// # Errors
    /// When the key is for something else or made of something else.
    pub fn require_of(self, key: &Key, operation: &'static str) -> Result<EncryptionScheme, KeyUsageError> {
        key.require_usage(KeyUsage::EncryptDecrypt, operation)?;
        self.scheme(key.spec).ok_or(KeyUsageError::Algorithm { algorithm: self.name(), spec: key.spec })
    }

    fn scheme(self, spec: KeySpec) -> Option<EncryptionScheme> {
        match self {
            Self::SymmetricDefault => {
                (spec == KeySpec::SymmetricDefault).then_some(EncryptionScheme::Symmetric)
            }
            Self::RsaesOaep(digest) => rsa_modulus_len(spec).map(|len| EncryptionScheme::Rsa {
                digest,
                max_plaintext_len: digest.max_plaintext_len(len),
            }),
            Self::Sm2Pke => None,
        }
    }
}

impl SigningAlgorithm {
    /// Every algorithm of the service model.
    pub const ALL: [Self; 13] = [
        Self::RsassaPssSha256,
        Self::RsassaPssSha384,
        Self::RsassaPssSha512,
        Self::RsassaPkcs1Sha256,
        Self::RsassaPkcs1Sha384,
        Self::RsassaPkcs1Sha512,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::Sm2Dsa,
        Self::MlDsaShake256,
        Self::Ed25519Sha512,
        Self::Ed25519PhSha512,
    ];

    /// Its name in the service model.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsassaPssSha256 => "RSASSA_PSS_SHA_256",
            Self::RsassaPssSha384 => "RSASSA_PSS_SHA_384",
            Self::RsassaPssSha512 => "RSASSA_PSS_SHA_512",
            Self::RsassaPkcs1Sha256 => "RSASSA_PKCS1_V1_5_SHA_256",
            Self::RsassaPkcs1Sha384 => "RSASSA_PKCS1_V1_5_SHA_384",
            Self::RsassaPkcs1Sha512 => "RSASSA_PKCS1_V1_5_SHA_512",
            Self::EcdsaSha256 => "ECDSA_SHA_256",
            Self::EcdsaSha384 => "ECDSA_SHA_384",
            Self::EcdsaSha512 => "ECDSA_SHA_512",
            Self::Ed25519Sha512 => "ED25519_SHA_512",
            Self::Ed25519PhSha512 => "ED25519_PH_SHA_512",
            Self::Sm2Dsa => "SM2DSA",
            Self::MlDsaShake256 => "ML_DSA_SHAKE_256",
        }
    }

    /// How `key` signs with it, as `operation` needs.
    ///
    /// # Errors
    /// When the key is for something else or made of something else.
    pub fn require_of(self, key: &Key, operation: &'static str) -> Result<SignatureScheme, KeyUsageError> {
        key.require_usage(KeyUsage::SignVerify, operation)?;
        self.scheme(key.spec).ok_or(KeyUsageError::Algorithm { algorithm: self.name(), spec: key.spec })
    }

    /// What it means for a key of this spec (KMS developer guide, *Key spec reference*).
    fn scheme(self, spec: KeySpec) -> Option<SignatureScheme> {
        let of_rsa = |scheme| rsa_modulus_len(spec).map(|_| scheme);
        let of = |kind, scheme| (spec == KeySpec::KeyPair(kind)).then_some(scheme);
        match self {
            Self::RsassaPssSha256 => of_rsa(SignatureScheme::RsaPssSha256),
            Self::RsassaPssSha384 => of_rsa(SignatureScheme::RsaPssSha384),
            Self::RsassaPssSha512 => of_rsa(SignatureScheme::RsaPssSha512),
            Self::RsassaPkcs1Sha256 => of_rsa(SignatureScheme::RsaPkcs1Sha256),
            Self::RsassaPkcs1Sha384 => of_rsa(SignatureScheme::RsaPkcs1Sha384),
            Self::RsassaPkcs1Sha512 => of_rsa(SignatureScheme::RsaPkcs1Sha512),
            Self::EcdsaSha256 => of(KeyPairKind::P256, SignatureScheme::EcdsaP256Sha256)
                .or_else(|| of(KeyPairKind::Secp256k1, SignatureScheme::EcdsaSecp256k1Sha256)),
            Self::EcdsaSha384 => of(KeyPairKind::P384, SignatureScheme::EcdsaP384Sha384),
            Self::EcdsaSha512 => of(KeyPairKind::P521, SignatureScheme::EcdsaP521Sha512),
            Self::Ed25519Sha512 => of(KeyPairKind::Ed25519, SignatureScheme::Ed25519),
            Self::Ed25519PhSha512 | Self::Sm2Dsa | Self::MlDsaShake256 => None,
        }
    }
}

impl MacAlgorithm {
    /// Every algorithm of the service model.
    pub const ALL: [Self; 4] = [
        Self(HmacDigest::Sha224),
        Self(HmacDigest::Sha256),
        Self(HmacDigest::Sha384),
        Self(HmacDigest::Sha512),
    ];

    /// Its name in the service model.
    pub const fn name(self) -> &'static str {
        match self.0 {
            HmacDigest::Sha224 => "HMAC_SHA_224",
            HmacDigest::Sha256 => "HMAC_SHA_256",
            HmacDigest::Sha384 => "HMAC_SHA_384",
            HmacDigest::Sha512 => "HMAC_SHA_512",
        }
    }

    /// Requires that `key` makes MACs with it, as `operation` needs.
    ///
    /// # Errors
    /// When the key is for something else or made of something else.
    pub fn require_of(self, key: &Key, operation: &'static str) -> Result<(), KeyUsageError> {
        key.require_usage(KeyUsage::GenerateVerifyMac, operation)?;
        if key.spec == KeySpec::Hmac(self.0) {
            return Ok(());
        }
        Err(KeyUsageError::Algorithm { algorithm: self.name(), spec: key.spec })
    }
}

impl KeyAgreementAlgorithm {
    /// Every algorithm of the service model.
    pub const ALL: [Self; 1] = [Self::Ecdh];

    /// Its name in the service model.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecdh => "ECDH",
        }
    }

    /// The curve on which `key` agrees on secrets with it, as `operation` needs.
    ///
    /// # Errors
    /// When the key is for something else or made of something else.
    pub fn require_of(self, key: &Key, operation: &'static str) -> Result<KeyPairKind, KeyUsageError> {
        key.require_usage(KeyUsage::KeyAgreement, operation)?;
        match key.spec {
            KeySpec::KeyPair(kind @ (KeyPairKind::P256 | KeyPairKind::P384 | KeyPairKind::P521)) => Ok(kind),
            spec => Err(KeyUsageError::Algorithm { algorithm: self.name(), spec }),
        }
    }
}

/// Bytes of the modulus of a key of this spec, if it is RSA.
const fn rsa_modulus_len(spec: KeySpec) -> Option<usize> {
    match spec {
        KeySpec::KeyPair(KeyPairKind::Rsa2048) => Some(256),
        KeySpec::KeyPair(KeyPairKind::Rsa3072) => Some(384),
        KeySpec::KeyPair(KeyPairKind::Rsa4096) => Some(512),
        _ => None,
    }
}
