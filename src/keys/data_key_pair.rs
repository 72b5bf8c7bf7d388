use super::data_key::DataKey;
use crate::crypto::{CryptoError, KeyPairKind, generate_key_pair};

/// The kinds of data key pairs that the broker makes, by their names in the service model (`DataKeyPairSpec`).
pub const DATA_KEY_PAIR_SPECS: [(&str, KeyPairKind); 8] = [
    ("RSA_2048", KeyPairKind::Rsa2048),
    ("RSA_3072", KeyPairKind::Rsa3072),
    ("RSA_4096", KeyPairKind::Rsa4096),
    ("ECC_NIST_P256", KeyPairKind::P256),
    ("ECC_NIST_P384", KeyPairKind::P384),
    ("ECC_NIST_P521", KeyPairKind::P521),
    ("ECC_SECG_P256K1", KeyPairKind::Secp256k1),
    ("ECC_NIST_EDWARDS25519", KeyPairKind::Ed25519),
];

/// A key pair that nobody has seen yet. Its private key is as guarded as a [`DataKey`].
pub struct DataKeyPair {
    /// PKCS#8, to be sealed.
    pub private_key: DataKey,
    /// DER SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

impl DataKeyPair {
    /// A new random key pair. For RSA it takes up to seconds.
    ///
    /// # Errors
    /// When a primitive fails.
    pub fn generate(kind: KeyPairKind) -> Result<Self, CryptoError> {
        let pair = generate_key_pair(kind)?;
        Ok(Self { private_key: DataKey::from_plaintext(pair.private_key), public_key: pair.public_key })
    }
}
