//! AWS Signature Version 4 in its header form, verified over the raw request.
//!
//! Source: "Signature Version 4 signing process" in the IAM User Guide ("Create a signed AWS API request"). The
//! signature covers the method, path, query, the headers named in `SignedHeaders` and the SHA-256 of the body:
//!
//! ```text
//! Authorization: AWS4-HMAC-SHA256 Credential=<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request,
//!                SignedHeaders=<name>;<name>;…, Signature=<64 hex digits>
//! ```
//!
//! Presigned URLs, `UNSIGNED-PAYLOAD` and the streaming forms are refused: the KMS clients use none of them, and each
//! leaves part of the request open to change.

mod authorization;
mod canonical;
mod error;

use std::fmt;
use std::time::Duration;

use hyper::HeaderMap;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::{SHA256_LEN, hmac_sha256, sha256};
use crate::time::UnixTime;

pub use authorization::{
    MAX_ACCESS_KEY_ID_LEN, MAX_AUTHORIZATION_LEN, MAX_SCOPE_PART_LEN, MAX_SESSION_TOKEN_LEN,
    MAX_SIGNED_HEADERS, parse_authorization,
};
pub use error::{SigV4Error, SigV4ErrorClass};

/// The only algorithm accepted, first word of the header and of the string to sign.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the request's date may lie from the broker's clock, either way. AWS services allow 15 minutes.
pub const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// A request as it came off the wire, before anything interpreted it.
#[derive(Clone, Copy)]
pub struct RawRequest<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The path, percent-encoding as sent.
    pub path: &'a str,
    /// The query without its `?`, percent-encoding as sent; empty when there is none.
    pub query: &'a str,
    /// Every header field.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// What a credential must be scoped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The broker's region, such as `eu-central-1`.
    pub region: &'a str,
    /// The service's signing name: `kms`.
    pub service: &'a str,
}

/// A well-formed claim to have signed a request; proves nothing until [`SignedRequest::verify`].
pub struct SignedRequest<'a> {
    request: RawRequest<'a>,
    access_key_id: &'a str,
    scope_date: &'a str,
    scope: Scope<'a>,
    /// Lower-case, strictly ascending.
    signed_headers: Vec<&'a str>,
    signature: [u8; SHA256_LEN],
    signed_at: SignedAt<'a>,
    session_token: Option<SessionToken>,
}

/// The request's own date: `X-Amz-Date`, else `Date`, in the form `YYYYMMDDTHHMMSSZ`.
struct SignedAt<'a> {
    header: &'static str,
    text: &'a str,
    time: UnixTime,
}

/// Proof that the holder of `access_key_id`'s secret signed this very request, recently and for this broker.
///
/// The session token is what the caller sent, and is signed; whether it is the right one for the access key is the
/// credential store's to say. An access key without a session must come without a token, too.
#[derive(Clone, Debug)]
pub struct VerifiedSignature {
    access_key_id: String,
    session_token: Option<SessionToken>,
    signed_at: UnixTime,
}

impl<'a> SignedRequest<'a> {
    /// The access key that the request claims, to look its secret up by: 1–128 of `[A-Za-z0-9_]`.
    pub fn access_key_id(&self) -> &'a str {
        self.access_key_id
    }

    /// The `X-Amz-Security-Token` that came along.
    pub fn session_token(&self) -> Option<&SessionToken> {
        self.session_token.as_ref()
    }

    /// Verifies the signature under `secret_access_key`.
    ///
    /// # Errors
    /// The first step that fails, cheapest first: scope, date, coverage of the signed headers, body hash, signature.
    pub fn verify(
        &self,
        secret_access_key: &[u8],
        scope: &Scope<'_>,
        now: UnixTime,
    ) -> Result<VerifiedSignature, SigV4Error> {
        self.check_scope(scope)?;
        self.check_date(now)?;
        self.check_signed_headers()?;
        let body_sha256 = self.check_body_hash()?;

        let canonical_request =
            canonical::canonical_request(&self.request, &self.signed_headers, &body_sha256)?;
        let string_to_sign = format!(
            "{ALGORITHM}\n{}\n{}/{}/{}/{TERMINATOR}\n{}",
            self.signed_at.text,
            self.scope_date,
            self.scope.region,
            self.scope.service,
            sha256_hex(&canonical_request),
        );
        let signing_key = derive_signing_key(secret_access_key, self.scope_date, &self.scope);
        let expected = hmac_sha256(&*signing_key, string_to_sign.as_bytes());
        if !bool::from(expected.ct_eq(&self.signature)) {
            return Err(SigV4Error::SignatureMismatch);
        }

        Ok(VerifiedSignature {
            access_key_id: self.access_key_id.to_owned(),
            session_token: self.session_token.clone(),
            signed_at: self.signed_at.time,
        })
    }

    fn check_scope(&self, expected: &Scope<'_>) -> Result<(), SigV4Error> {
        if self.scope.region != expected.region {
            return Err(SigV4Error::WrongRegion {
                expected: expected.region.to_owned(),
                actual: self.scope.region.to_owned(),
            });
        }
        if self.scope.service != expected.service {
            return Err(SigV4Error::WrongService {
                expected: expected.service.to_owned(),
                actual: self.scope.service.to_owned(),
            });
        }
        if !self.signed_at.text.starts_with(self.scope_date) {
            return Err(SigV4Error::ScopeDateMismatch {
                scope: self.scope_date.to_owned(),
                request: self.signed_at.text.to_owned(),
            });
        }
        Ok(())
    }

    fn check_date(&self, now: UnixTime) -> Result<(), SigV4Error> {
        let signed_at = self.signed_at.time;
        if signed_at < now.saturating_sub(MAX_SKEW) {
            return Err(SigV4Error::Expired { signed_at, now });
        }
        if signed_at > now.saturating_add(MAX_SKEW) {
            return Err(SigV4Error::NotYetValid { signed_at, now });
        }
        Ok(())
    }

    /// Whatever steers the request must be under the signature: `host`, the date, `content-type` and all of `x-amz-*`.
    fn check_signed_headers(&self) -> Result<(), SigV4Error> {
        let is_signed = |name: &str| self.signed_headers.binary_search(&name).is_ok();
        for name in ["host", self.signed_at.header] {
            if !is_signed(name) {
                return Err(SigV4Error::HeaderNotSigned { name: name.to_owned() });
            }
        }
        for name in self.request.headers.keys().map(hyper::header::HeaderName::as_str) {
            if (name.starts_with("x-amz-") || name == "content-type") && !is_signed(name) {
                return Err(SigV4Error::HeaderNotSigned { name: name.to_owned() });
            }
        }
        for name in &self.signed_headers {
            if !self.request.headers.contains_key(*name) {
                return Err(SigV4Error::SignedHeaderAbsent { name: (*name).to_owned() });
            }
        }
        Ok(())
    }

    /// The body's hash, which `X-Amz-Content-Sha256` must equal where it is present.
    fn check_body_hash(&self) -> Result<String, SigV4Error> {
        let actual = sha256_hex(self.request.body);
        match authorization::single_header(self.request.headers, CONTENT_SHA256)? {
            None => Ok(actual),
            Some(claimed) if claimed == actual => Ok(actual),
            Some(claimed) if claimed.starts_with("UNSIGNED-PAYLOAD") || claimed.starts_with("STREAMING-") => {
                Err(SigV4Error::UnsupportedPayloadForm)
            }
            Some(_) => Err(SigV4Error::BodyHashMismatch),
        }
    }
}

/// Names what is claimed; never the signature or the token.
impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("access_key_id", &self.access_key_id)
            .field("scope_date", &self.scope_date)
            .field("scope", &self.scope)
            .field("signed_headers", &self.signed_headers)
            .field("signed_at", &self.signed_at.time)
            .field("session_token", &self.session_token)
            .finish_non_exhaustive()
    }
}

impl VerifiedSignature {
    /// The access key whose secret made the signature.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The signed `X-Amz-Security-Token`.
    pub fn session_token(&self) -> Option<&SessionToken> {
        self.session_token.as_ref()
    }

    /// The date inside the signature.
    pub fn signed_at(&self) -> UnixTime {
        self.signed_at
    }
}

/// A session token as sent: a bearer secret, so it neither prints nor compares in variable time.
#[derive(Clone)]
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// Whether this is `expected`; the time taken depends on the length alone.
    pub fn matches(&self, expected: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(expected).into()
    }

    /// The token itself, for a store that finds it by its digest.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

const TERMINATOR: &str = "aws4_request";
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// HMAC chain over date, region, service and terminator, so that a derived key serves one day and scope only.
fn derive_signing_key(
    secret_access_key: &[u8],
    date: &str,
    scope: &Scope<'_>,
) -> Zeroizing<[u8; SHA256_LEN]> {
    let mut prefixed = Zeroizing::new(Vec::with_capacity(4 + secret_access_key.len()));
    prefixed.extend_from_slice(b"AWS4");
    prefixed.extend_from_slice(secret_access_key);

    let date_key = Zeroizing::new(hmac_sha256(&prefixed, date.as_bytes()));
    [scope.region, scope.service, TERMINATOR]
        .into_iter()
        .fold(date_key, |key, part| Zeroizing::new(hmac_sha256(&*key, part.as_bytes())))
}

fn sha256_hex(data: &[u8]) -> String {
    hex::encode(sha256(&[data]))
}
