use crate::crypto::KeyPairKind;

/// What a key is made of (KMS API reference, *CreateKey*, `KeySpec`). `SM2`, which KMS has in China, and ML-DSA are not
/// among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// `SYMMETRIC_DEFAULT`: 256 bits for AES-GCM.
    SymmetricDefault,
    /// `HMAC_<bits>`.
    Hmac(HmacSpec),
    /// `RSA_<bits>`, `ECC_<curve>`.
    KeyPair(KeyPairKind),
}

/// The digest of an HMAC key, which gives it its length as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacSpec {
    /// `HMAC_224`.
    Sha224,
    /// `HMAC_256`.
    Sha256,
    /// `HMAC_384`.
    Sha384,
    /// `HMAC_512`.
    Sha512,
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
        Self::Hmac(HmacSpec::Sha224),
        Self::Hmac(HmacSpec::Sha256),
        Self::Hmac(HmacSpec::Sha384),
        Self::Hmac(HmacSpec::Sha512),
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
            Self::Hmac(HmacSpec::Sha224) => "HMAC_224",
            Self::Hmac(HmacSpec::Sha256) => "HMAC_256",
            Self::Hmac(HmacSpec::Sha384) => "HMAC_384",
            Self::Hmac(HmacSpec::Sha512) => "HMAC_512",
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
