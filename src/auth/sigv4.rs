//! AWS Signature Version 4 in its header and its query form, verified over the raw request.
//!
//! Source: "Signature Version 4 signing process" in the IAM User Guide ("Create a signed AWS API request"). The
//! signature covers the method, path, query, the headers named in `SignedHeaders` and the SHA-256 of the body. It
//! stands in a header, or, in a presigned request, in the query:
//!
//! ```text
//! Authorization: AWS4-HMAC-SHA256 Credential=<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request,
//!                SignedHeaders=<name>;<name>;…, Signature=<64 hex digits>
//!
//! /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=…&X-Amz-Date=<YYYYMMDDTHHMMSSZ>&X-Amz-Expires=<seconds>
//!   &X-Amz-SignedHeaders=<name>%3B<name>…[&X-Amz-Security-Token=…]&X-Amz-Signature=<64 hex digits>
//! ```
//!
//! `UNSIGNED-PAYLOAD` and the streaming forms are refused: the KMS clients use none of them, and each leaves the body
//! open to change. So is a request signed in both forms.

mod authorization;
mod canonical;
mod claim;
mod error;
mod presigned;
mod query;
mod window;

use std::fmt;

use hyper::HeaderMap;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::authorization::{AUTHORIZATION, parse_authorization};
use self::claim::{CONTENT_SHA256, Claim, ClaimedScope, SignedAt, single_header};
use self::presigned::{is_presigned, parse_presigned};
use self::query::Query;
use self::window::Lifetime;
use crate::crypto::{SHA256_LEN, hmac_sha256, sha256};
use crate::text::shorten;
use crate::time::UnixTime;

pub use self::authorization::MAX_AUTHORIZATION_LEN;
pub use self::claim::{MAX_ACCESS_KEY_ID_LEN, MAX_SCOPE_PART_LEN, MAX_SESSION_TOKEN_LEN, MAX_SIGNED_HEADERS};
pub use self::error::{SigV4Error, SigV4ErrorClass};
pub use self::query::{MAX_QUERY_LEN, MAX_QUERY_PARAMETERS};
pub use self::window::{InvalidWindow, MAX_CLOCK_SKEW, MAX_PRESIGNED, SignatureWindow};

/// The only algorithm accepted, named in either form and first in the string to sign.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

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
    query: Query<'a>,
    claim: Claim,
}

/// Reads the claim of a request, or `None` from the anonymous caller, who makes none in either form.
///
/// # Errors
/// When there is a claim that cannot be read whole: a request that tried to sign is never taken for an anonymous one.
pub fn parse_signed_request(request: RawRequest<'_>) -> Result<Option<SignedRequest<'_>>, SigV4Error> {
    let query = Query::parse(request.query)?;
    let claim = match (single_header(request.headers, AUTHORIZATION)?, is_presigned(&query)) {
        (Some(_), true) => return Err(SigV4Error::BothForms),
        (Some(authorization), false) => parse_authorization(authorization, request.headers)?,
        (None, true) => parse_presigned(&query, request.headers)?,
        (None, false) => return Ok(None),
    };
    Ok(Some(SignedRequest { request, query, claim }))
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

impl SignedRequest<'_> {
    /// The access key that the request claims, to look its secret up by: 1–128 of `[A-Za-z0-9_]`.
    pub fn access_key_id(&self) -> &str {
        &self.claim.access_key_id
    }

    /// The `X-Amz-Security-Token` that came along.
    pub fn session_token(&self) -> Option<&SessionToken> {
        self.claim.session_token.as_ref()
    }

    /// Verifies the signature under `secret_access_key`.
    ///
    /// # Errors
    /// The first step that fails, cheapest first: scope, date, coverage of the signed headers, body hash, signature.
    pub fn verify(
        &self,
        secret_access_key: &[u8],
        scope: &Scope<'_>,
        window: &SignatureWindow,
        now: UnixTime,
    ) -> Result<VerifiedSignature, SigV4Error> {
        let Claim { access_key_id, signed_headers, signature, signed_at, lifetime, session_token, .. } =
            &self.claim;
        self.check_scope(scope)?;
        window.check(signed_at.time, *lifetime, now)?;
        self.check_signed_headers()?;
        let body_sha256 = self.check_body_hash()?;

        let canonical_request = canonical::canonical_request(
            &self.request,
            &self.query.canonical_without(presigned::SIGNATURE),
            signed_headers,
            &body_sha256,
        );
        let ClaimedScope { date, region, service } = &self.claim.scope;
        let string_to_sign = format!(
            "{ALGORITHM}\n{}\n{date}/{region}/{service}/{TERMINATOR}\n{}",
            signed_at.text,
            sha256_hex(&canonical_request),
        );
        let signing_key = derive_signing_key(secret_access_key, &self.claim.scope);
        let expected = hmac_sha256(&*signing_key, string_to_sign.as_bytes());
        if !bool::from(expected.ct_eq(signature)) {
            return Err(SigV4Error::SignatureMismatch);
        }

        Ok(VerifiedSignature {
            access_key_id: access_key_id.clone(),
            session_token: session_token.clone(),
            signed_at: signed_at.time,
        })
    }

    fn check_scope(&self, expected: &Scope<'_>) -> Result<(), SigV4Error> {
        let ClaimedScope { date, region, service } = &self.claim.scope;
        if region != expected.region {
            return Err(SigV4Error::WrongRegion {
                expected: expected.region.to_owned(),
                actual: region.clone(),
            });
        }
        if service != expected.service {
            return Err(SigV4Error::WrongService {
                expected: expected.service.to_owned(),
                actual: service.clone(),
            });
        }
        let SignedAt { text, .. } = &self.claim.signed_at;
        if !text.starts_with(date) {
            return Err(SigV4Error::ScopeDateMismatch { scope: date.clone(), request: text.clone() });
        }
        Ok(())
    }

    /// Whatever steers the request must be under the signature: `host`, the date, `content-type` and all of `x-amz-*`.
    /// Query parameters are so by themselves.
    fn check_signed_headers(&self) -> Result<(), SigV4Error> {
        let Claim { signed_headers, signed_at, lifetime, .. } = &self.claim;
        let is_signed = |wanted: &str| signed_headers.iter().any(|name| name == wanted);
        let is_presigned = *lifetime != Lifetime::NearDate;
        let required = if is_presigned { &["host"][..] } else { &["host", signed_at.name] };
        for name in required {
            if !is_signed(name) {
                return Err(SigV4Error::HeaderNotSigned { name: (*name).to_owned() });
            }
        }
        for name in self.request.headers.keys().map(hyper::header::HeaderName::as_str) {
            let steers = (name.starts_with("x-amz-") || name == "content-type")
                && !(is_presigned && name == USER_AGENT);
            if steers && !is_signed(name) {
                return Err(SigV4Error::HeaderNotSigned { name: name.to_owned() });
            }
        }
        for name in signed_headers {
            if !self.request.headers.contains_key(name) {
                return Err(SigV4Error::SignedHeaderAbsent { name: name.clone() });
            }
        }
        Ok(())
    }

    /// The body's hash, which `X-Amz-Content-Sha256` must equal where it is present.
    fn check_body_hash(&self) -> Result<String, SigV4Error> {
        let actual = sha256_hex(self.request.body);
        let in_header = single_header(self.request.headers, CONTENT_SHA256)?;
        let in_query = presigned::content_sha256(&self.query)?;
        match [in_header, in_query].into_iter().flatten().find(|claimed| *claimed != actual) {
            None => Ok(actual),
            Some(form) if form.starts_with("UNSIGNED-PAYLOAD") || form.starts_with("STREAMING-") => {
                Err(SigV4Error::UnsupportedPayloadForm { actual: shorten(form) })
            }
            Some(claimed) => Err(SigV4Error::BodyHashMismatch { claimed: shorten(claimed), actual }),
        }
    }
}

/// Names what is claimed; never the signature or the token.
impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("access_key_id", &self.claim.access_key_id)
            .field("scope", &self.claim.scope)
            .field("signed_headers", &self.claim.signed_headers)
            .field("signed_at", &self.claim.signed_at.time)
            .field("lifetime", &self.claim.lifetime)
            .field("session_token", &self.claim.session_token)
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

/// What AWS's signers leave out of a presigned request, whose sender need not be its signer. It steers nothing.
const USER_AGENT: &str = "x-amz-user-agent";

/// HMAC chain over date, region, service and terminator, so that a derived key serves one day and scope only.
fn derive_signing_key(secret_access_key: &[u8], scope: &ClaimedScope) -> Zeroizing<[u8; SHA256_LEN]> {
    let mut prefixed = Zeroizing::new(Vec::with_capacity(4 + secret_access_key.len()));
    prefixed.extend_from_slice(b"AWS4");
    prefixed.extend_from_slice(secret_access_key);

    let date_key = Zeroizing::new(hmac_sha256(&prefixed, scope.date.as_bytes()));
    [scope.region.as_str(), scope.service.as_str(), TERMINATOR]
        .into_iter()
        .fold(date_key, |key, part| Zeroizing::new(hmac_sha256(&*key, part.as_bytes())))
}

fn sha256_hex(data: &[u8]) -> String {
    hex::encode(sha256(&[data]))
}
