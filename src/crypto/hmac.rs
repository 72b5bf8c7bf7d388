use aws_lc_rs::hmac::{self, Algorithm, HMAC_SHA224, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key};

/// The digest of an HMAC (RFC 2104).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacDigest {
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The HMAC of a message, as long as the digest.
pub fn hmac(digest: HmacDigest, key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&Key::new(digest.algorithm(), key), message).as_ref().to_vec()
}

/// Whether `mac` is the whole HMAC of the message, found out in constant time.
pub fn verify_hmac(digest: HmacDigest, key: &[u8], message: &[u8], mac: &[u8]) -> bool {
    hmac::verify(&Key::new(digest.algorithm(), key), message, mac).is_ok()
}

/// HMAC-SHA-256.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&Key::new(HMAC_SHA256, key), message);
    let mut array = [0; 32];
    array.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    array
}

impl HmacDigest {
    /// Bytes of the digest.
    pub fn output_len(self) -> usize {
        self.algorithm().tag_len()
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha224 => HMAC_SHA224,
            Self::Sha256 => HMAC_SHA256,
            Self::Sha384 => HMAC_SHA384,
            Self::Sha512 => HMAC_SHA512,
        }
    }
}
