use std::fmt;

use crate::policy::PrincipalArn;
use crate::time::UnixTime;

/// An access key issued to a principal, its secret wrapped under the root key.
#[derive(Clone)]
pub struct Credential {
    /// `AKIA…`, or `ASIA…` for one with a session token.
    pub access_key_id: String,
    /// Whom it stands for.
    pub principal: PrincipalArn,
    /// The secret access key under the root key, see [`credential_wrapping_context`].
    pub wrapped_secret: Vec<u8>,
    /// SHA-256 of the session token that must come along; the token itself is not kept.
    pub session_token_sha256: Option<[u8; 32]>,
    /// When it was issued.
    pub created_at: UnixTime,
    /// When it ceases to be valid.
    pub expires_at: Option<UnixTime>,
}

/// What the wrapping of a secret access key is bound to, so that a secret moved to another access key or principal in
/// the store does not unwrap.
pub fn credential_wrapping_context(access_key_id: &str, principal: &PrincipalArn) -> Vec<u8> {
    let parts: [&[u8]; 4] = [
        b"nitro-key-broker secret access key v1\0",
        access_key_id.as_bytes(),
        b"\0",
        principal.as_str().as_bytes(),
    ];
    parts.concat()
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} for {})", self.access_key_id, self.principal)
    }
}
