use aws_lc_rs::digest::{Algorithm, Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, ParsedPublicKey, RsaEncoding,
    VerificationAlgorithm,
};

use super::CryptoError;

/// How to sign, and with what kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// RSASSA-PSS with SHA-256, MGF1 over the same and a salt as long as the digest (RFC 8017 section 8.1).
    RsaPssSha256,
    /// As [`SignatureScheme::RsaPssSha256`], with SHA-384.
    RsaPssSha384,
    /// As [`SignatureScheme::RsaPssSha256`], with SHA-512.
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2).
    RsaPkcs1Sha256,
    /// As [`SignatureScheme::RsaPkcs1Sha256`], with SHA-384.
    RsaPkcs1Sha384,
    /// As [`SignatureScheme::RsaPkcs1Sha256`], with SHA-512.
    RsaPkcs1Sha512,
    /// ECDSA on P-256 with SHA-256; the signature is the DER of RFC 3279 section 2.2.3.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384, in DER.
    EcdsaP384Sha384,
    /// ECDSA on P-521 with SHA-512, in DER.
    EcdsaP521Sha512,
    /// ECDSA on secp256k1 with SHA-256, in DER.
    EcdsaSecp256k1Sha256,
    /// Ed25519 (RFC 8032 section 5.1), which takes no digest.
    Ed25519,
}

/// What is signed.
#[derive(Clone, Copy)]
pub enum SignedMessage<'m> {
    /// A message, which is yet to be hashed.
    Raw(&'m [u8]),
    /// The message's digest, of the length that [`SignatureScheme::digest_len`] says.
    Digest(&'m [u8]),
}

/// A signature by a PKCS#8 private key.
///
/// # Errors
/// When the key is of another kind than the scheme, or the digest has another length.
pub fn sign(
    scheme: SignatureScheme,
    private_key: &[u8],
    message: SignedMessage<'_>,
) -> Result<Vec<u8>, CryptoError> {
    match scheme.primitive() {
        Primitive::Rsa(rsa) => sign_rsa(&rsa, private_key, message),
        Primitive::Ecdsa(ecdsa) => sign_ecdsa(&ecdsa, private_key, message),
        Primitive::Ed25519 => {
            let SignedMessage::Raw(message) = message else { return Err(CryptoError) };
            let key = Ed25519KeyPair::from_pkcs8(private_key).map_err(|_| CryptoError)?;
            Ok(key.try_sign(message)?.as_ref().to_vec())
        }
    }
}

/// Whether a signature is that of the key in a DER SubjectPublicKeyInfo.
///
/// # Errors
/// When the key is of another kind than the scheme, or the digest has another length.
pub fn verify(
    scheme: SignatureScheme,
    public_key: &[u8],
    message: SignedMessage<'_>,
    signature: &[u8],
) -> Result<bool, CryptoError> {
    let primitive = scheme.primitive();
    let key = ParsedPublicKey::new(primitive.verification(), public_key).map_err(|_| CryptoError)?;
    let verified = match message {
        SignedMessage::Raw(message) => key.verify_sig(message, signature),
        SignedMessage::Digest(digest) => {
            let digest = import(digest, primitive.digest().ok_or(CryptoError)?)?;
            key.verify_digest_sig(&digest, signature)
        }
    };
    Ok(verified.is_ok())
}

impl SignatureScheme {
    /// Bytes of the digest that may come in the message's place; `None` where none may.
    pub fn digest_len(self) -> Option<usize> {
        self.primitive().digest().map(Algorithm::output_len)
    }

    fn primitive(self) -> Primitive {
        match self {
            Self::RsaPssSha256 => {
                Primitive::rsa(&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256, &SHA256)
            }
            Self::RsaPssSha384 => {
                Primitive::rsa(&signature::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384, &SHA384)
            }
            Self::RsaPssSha512 => {
                Primitive::rsa(&signature::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512, &SHA512)
            }
            Self::RsaPkcs1Sha256 => {
                Primitive::rsa(&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256, &SHA256)
            }
            Self::RsaPkcs1Sha384 => {
                Primitive::rsa(&signature::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384, &SHA384)
            }
            Self::RsaPkcs1Sha512 => {
                Primitive::rsa(&signature::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512, &SHA512)
            }
            Self::EcdsaP256Sha256 => Primitive::ecdsa(
                &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
                &signature::ECDSA_P256_SHA256_ASN1,
                &SHA256,
            ),
            Self::EcdsaP384Sha384 => Primitive::ecdsa(
                &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
                &signature::ECDSA_P384_SHA384_ASN1,
                &SHA384,
            ),
            Self::EcdsaP521Sha512 => Primitive::ecdsa(
                &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
                &signature::ECDSA_P521_SHA512_ASN1,
                &SHA512,
            ),
            Self::EcdsaSecp256k1Sha256 => Primitive::ecdsa(
                &signature::ECDSA_P256K1_SHA256_ASN1_SIGNING,
                &signature::ECDSA_P256K1_SHA256_ASN1,
                &SHA256,
            ),
            Self::Ed25519 => Primitive::Ed25519,
        }
    }
}

/// The names that aws-lc-rs has for a scheme.
enum Primitive {
    Rsa(Rsa),
    Ecdsa(Ecdsa),
    Ed25519,
}

struct Rsa {
    signing: &'static dyn RsaEncoding,
    verification: &'static dyn VerificationAlgorithm,
    digest: &'static Algorithm,
}

struct Ecdsa {
    signing: &'static EcdsaSigningAlgorithm,
    verification: &'static dyn VerificationAlgorithm,
    digest: &'static Algorithm,
}

impl Primitive {
    fn rsa(
        signing: &'static dyn RsaEncoding,
        verification: &'static dyn VerificationAlgorithm,
        digest: &'static Algorithm,
    ) -> Self {
        Self::Rsa(Rsa { signing, verification, digest })
    }

    fn ecdsa(
        signing: &'static EcdsaSigningAlgorithm,
        verification: &'static dyn VerificationAlgorithm,
        digest: &'static Algorithm,
    ) -> Self {
        Self::Ecdsa(Ecdsa { signing, verification, digest })
    }

    fn verification(&self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rsa(rsa) => rsa.verification,
            Self::Ecdsa(ecdsa) => ecdsa.verification,
            Self::Ed25519 => &signature::ED25519,
        }
    }

    fn digest(&self) -> Option<&'static Algorithm> {
        match self {
            Self::Rsa(rsa) => Some(rsa.digest),
            Self::Ecdsa(ecdsa) => Some(ecdsa.digest),
            Self::Ed25519 => None,
        }
    }
}

fn sign_rsa(rsa: &Rsa, private_key: &[u8], message: SignedMessage<'_>) -> Result<Vec<u8>, CryptoError> {
    let key = RsaKeyPair::from_pkcs8(private_key).map_err(|_| CryptoError)?;
    let mut signature = vec![0; key.public_modulus_len()];
    match message {
        SignedMessage::Raw(message) => {
            key.sign(rsa.signing, &SystemRandom::new(), message, &mut signature)?
        }
        SignedMessage::Digest(digest) => {
            key.sign_digest(rsa.signing, &import(digest, rsa.digest)?, &mut signature)?;
        }
    }
    Ok(signature)
}

fn sign_ecdsa(ecdsa: &Ecdsa, private_key: &[u8], message: SignedMessage<'_>) -> Result<Vec<u8>, CryptoError> {
    let key = EcdsaKeyPair::from_pkcs8(ecdsa.signing, private_key).map_err(|_| CryptoError)?;
    let signature = match message {
        SignedMessage::Raw(message) => key.sign(&SystemRandom::new(), message)?,
        SignedMessage::Digest(digest) => key.sign_digest(&import(digest, ecdsa.digest)?)?,
    };
    Ok(signature.as_ref().to_vec())
}

/// Whoever may have a message signed may have a digest signed, too: that it is the digest of something known is the
/// signer's word, not this module's.
fn import(digest: &[u8], algorithm: &'static Algorithm) -> Result<Digest, CryptoError> {
    Ok(Digest::import_less_safe(digest, algorithm)?)
}
