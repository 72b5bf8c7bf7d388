use crate::crypto::{HmacDigest, KeyPairKind};

/// What a key is made of (KMS API reference, *CreateKey*, `KeySpec`). `SM2`, which KMS has in China, and ML-DSA are not
/// among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// `SYMMETRIC_DEFAULT`: 256 bits for AES-GCM.
    SymmetricDefault,
    /// `HMAC_<bits>`; the digest gives the key its length as well.
    Hmac(HmacDigest),
    /// `RSA_<bits>`, `ECC_<curve>`.
    KeyPair(KeyPairKind),
}

/// What a key is for, one thing for good (KMS API reference, *CreateKey*, `KeyUsage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUsage {
    /// `ENCRYPT_DECRYPT`.
    EncryptDecrypt,
    /// `SIGN_VERIFY`.
    SignVerify,
    /// `GENERATE_VERIFY_MAC`.
    GenerateVerifyMac,
    /// `KEY_AGREEMENT`.
    KeyAgreement,
}

/// A spec and a usage that go together: what a new key is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyKind {
    spec: KeySpec,
    usage: KeyUsage,
}

/// Why a spec and a usage make no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyKindError {
    /// No key of the spec is for this.
    #[error("KeyUsage {usage} is not compatible with KeySpec {spec}", usage = .usage.name(), spec = .spec.name())]
    Incompatible {
        /// What the key would be for.
        usage: KeyUsage,
        /// What it would be made of.
        spec: KeySpec,
    },
    /// Only a symmetric encryption key needs no usage.
    #[error("You must specify a KeyUsage value for a key with the KeySpec {}", .0.name())]
    UsageMissing(KeySpec),
}

/// Where a key's material comes from (KMS API reference, *CreateKey*, `Origin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// `AWS_KMS`: made here.
    AwsKms,
    /// `EXTERNAL`: imported.
    External,
}

impl KeySpec {
    /// Every spec.
    pub const ALL: [Self; 13] = [
        Self::SymmetricDefault,
        Self::Hmac(HmacDigest::Sha224),
        Self::Hmac(HmacDigest::Sha256),
        Self::Hmac(HmacDigest::Sha384),
        Self::Hmac(HmacDigest::Sha512),
        Self::KeyPair(KeyPairKind::Rsa2048),
        Self::KeyPair(KeyPairKind::Rsa3072),
        Self::KeyPair(KeyPairKind::Rsa4096),
        Self::KeyPair(KeyPairKind::P256),
        Self::KeyPair(KeyPairKind::P384),
        Self::KeyPair(KeyPairKind::P521),
        Self::KeyPair(KeyPairKind::Secp256k1),
        Self::KeyPair(KeyPairKind::Ed25519),
    ];

    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::Hmac(HmacDigest::Sha224) => "HMAC_224",
            Self::Hmac(HmacDigest::Sha256) => "HMAC_256",
            Self::Hmac(HmacDigest::Sha384) => "HMAC_384",
            Self::Hmac(HmacDigest::Sha512) => "HMAC_512",
            Self::KeyPair(KeyPairKind::Rsa2048) => "RSA_2048",
            Self::KeyPair(KeyPairKind::Rsa3072) => "RSA_3072",
            Self::KeyPair(KeyPairKind::Rsa4096) => "RSA_4096",
            Self::KeyPair(KeyPairKind::P256) => "ECC_NIST_P256",
            Self::KeyPair(KeyPairKind::P384) => "ECC_NIST_P384",
            Self::KeyPair(KeyPairKind::P521) => "ECC_NIST_P521",
            Self::KeyPair(KeyPairKind::Secp256k1) => "ECC_SECG_P256K1",
            Self::KeyPair(KeyPairKind::Ed25519) => "ECC_NIST_EDWARDS25519",
        }
    }

    /// The spec of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spec| spec.name() == name)
    }

    /// What a key of this spec may be for; the first where it can be one thing only (KMS developer guide, *Key spec
    /// reference*).
    pub const fn usages(self) -> &'static [KeyUsage] {
        match self {
            Self::SymmetricDefault => &[KeyUsage::EncryptDecrypt],
            Self::Hmac(_) => &[KeyUsage::GenerateVerifyMac],
            Self::KeyPair(KeyPairKind::Rsa2048 | KeyPairKind::Rsa3072 | KeyPairKind::Rsa4096) => {
                &[KeyUsage::EncryptDecrypt, KeyUsage::SignVerify]
            }
            Self::KeyPair(KeyPairKind::P256 | KeyPairKind::P384 | KeyPairKind::P521) => {
                &[KeyUsage::SignVerify, KeyUsage::KeyAgreement]
            }
            Self::KeyPair(KeyPairKind::Secp256k1 | KeyPairKind::Ed25519) => &[KeyUsage::SignVerify],
        }
    }

    /// Whether a key of this spec has a public half.
    pub const fn is_asymmetric(self) -> bool {
        matches!(self, Self::KeyPair(_))
    }
}

impl KeyKind {
    /// 256 bits for AES-GCM, `SYMMETRIC_DEFAULT` for `ENCRYPT_DECRYPT`.
    pub const SYMMETRIC: Self = Self { spec: KeySpec::SymmetricDefault, usage: KeyUsage::EncryptDecrypt };

    /// A key of this spec for this usage (KMS API reference, *CreateKey*, `KeyUsage`).
    ///
    /// # Errors
    /// When the spec does not have the usage, or needs one to be given.
    pub fn new(spec: KeySpec, usage: Option<KeyUsage>) -> Result<Self, KeyKindError> {
        match usage {
            None if spec == KeySpec::SymmetricDefault => Ok(Self::SYMMETRIC),
            None => Err(KeyKindError::UsageMissing(spec)),
            Some(usage) if spec.usages().contains(&usage) => Ok(Self { spec, usage }),
            Some(usage) => Err(KeyKindError::Incompatible { usage, spec }),
        }
    }

    /// What the key is made of.
    pub const fn spec(self) -> KeySpec {
        self.spec
    }

    /// What it is for.
    pub const fn usage(self) -> KeyUsage {
        self.usage
    }
}

impl KeyUsage {
    /// Every usage.
    pub const ALL: [Self; 4] =
        [Self::EncryptDecrypt, Self::SignVerify, Self::GenerateVerifyMac, Self::KeyAgreement];

    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptDecrypt => "ENCRYPT_DECRYPT",
            Self::SignVerify => "SIGN_VERIFY",
            Self::GenerateVerifyMac => "GENERATE_VERIFY_MAC",
            Self::KeyAgreement => "KEY_AGREEMENT",
        }
    }

    /// The usage of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.name() == name)
    }
}

impl KeyOrigin {
    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsKms => "AWS_KMS",
            Self::External => "EXTERNAL",
        }
    }

    /// The origin of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AwsKms, Self::External].into_iter().find(|origin| origin.name() == name)
    }
}
