use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = sign(&Key::new(HMAC_SHA256, key), message);
    let mut array = [0; 32];
    array.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    array
}
