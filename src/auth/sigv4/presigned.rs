//! The query form: the whole claim in parameters of the query, as `generate_presigned_url` of the AWS SDKs makes it.

use std::time::Duration;

use hyper::HeaderMap;
use zeroize::Zeroizing;

use super::claim::{
    CONTENT_SHA256, Claim, MAX_SESSION_TOKEN_LEN, SECURITY_TOKEN, parse_credential, parse_session_token,
    parse_signature, parse_signed_at, parse_signed_headers,
};
use super::query::{Parameter, Query};
use super::window::{Lifetime, MAX_PRESIGNED};
use super::{ALGORITHM, SessionToken, SigV4Error};
use crate::text::shorten;

/// The parameter that no signature covers.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

const ALGORITHM_PARAMETER: &str = "X-Amz-Algorithm";
const CREDENTIAL: &str = "X-Amz-Credential";
const DATE: &str = "X-Amz-Date";
const EXPIRES: &str = "X-Amz-Expires";
const SIGNED_HEADERS: &str = "X-Amz-SignedHeaders";

/// Whether the query claims a caller: a request with any of these never passes for one without a claim.
pub(super) fn is_presigned(query: &Query<'_>) -> bool {
    [
        ALGORITHM_PARAMETER,
        CREDENTIAL,
        DATE,
        EXPIRES,
        SIGNED_HEADERS,
        SIGNATURE,
        SECURITY_TOKEN,
        CONTENT_SHA256,
    ]
    .iter()
    .any(|name| query.named(name).next().is_some())
}

/// Reads the claim in the query, with the session token in it or, under the signature, in the header.
pub(super) fn parse_presigned(query: &Query<'_>, headers: &HeaderMap) -> Result<Claim, SigV4Error> {
    let algorithm = required(query, ALGORITHM_PARAMETER)?;
    if algorithm != ALGORITHM {
        return Err(SigV4Error::UnsupportedQueryAlgorithm { actual: shorten(algorithm) });
    }
    let (access_key_id, scope) = parse_credential(required(query, CREDENTIAL)?)?;
    Ok(Claim {
        access_key_id,
        scope,
        signed_at: parse_signed_at(DATE, required(query, DATE)?)?,
        lifetime: Lifetime::Presigned(parse_expires(required(query, EXPIRES)?)?),
        signed_headers: parse_signed_headers(required(query, SIGNED_HEADERS)?)?,
        signature: parse_signature(required(query, SIGNATURE)?)?,
        session_token: match (token_in_query(query)?, parse_session_token(headers)?) {
            (Some(_), Some(_)) => return Err(SigV4Error::TwoSessionTokens),
            (in_query, in_header) => in_query.or(in_header),
        },
    })
}

/// The hash of the body, which those signers that move headers into the query leave in lower case.
pub(super) fn content_sha256<'q>(query: &'q Query<'_>) -> Result<Option<&'q str>, SigV4Error> {
    single(query, CONTENT_SHA256)?.map(|parameter| text(CONTENT_SHA256, parameter)).transpose()
}

/// The value of a parameter that may occur once at most, and in one spelling.
fn optional<'q>(query: &'q Query<'_>, name: &'static str) -> Result<Option<&'q str>, SigV4Error> {
    let Some(parameter) = single(query, name)? else {
        return Ok(None);
    };
    if parameter.name.as_ref() != name.as_bytes() {
        return Err(SigV4Error::MisspelledParameter { name });
    }
    text(name, parameter).map(Some)
}

fn required<'q>(query: &'q Query<'_>, name: &'static str) -> Result<&'q str, SigV4Error> {
    optional(query, name)?.ok_or(SigV4Error::MissingParameter { name })
}

fn single<'q, 'a>(query: &'q Query<'a>, name: &'static str) -> Result<Option<&'q Parameter<'a>>, SigV4Error> {
    let mut parameters = query.named(name);
    let first = parameters.next();
    match parameters.next() {
        Some(_) => Err(SigV4Error::RepeatedParameter { name }),
        None => Ok(first),
    }
}

fn text<'q>(name: &'static str, parameter: &'q Parameter<'_>) -> Result<&'q str, SigV4Error> {
    std::str::from_utf8(&parameter.value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(SigV4Error::UnreadableParameter { name })
}

/// Whole seconds in decimal, from 1 to [`MAX_PRESIGNED`].
fn parse_expires(text: &str) -> Result<Duration, SigV4Error> {
    Some(text)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .map(Duration::from_secs)
        .filter(|expires| (Duration::from_secs(1)..=MAX_PRESIGNED).contains(expires))
        .ok_or_else(|| SigV4Error::MalformedExpires { actual: shorten(text) })
}

fn token_in_query(query: &Query<'_>) -> Result<Option<SessionToken>, SigV4Error> {
    let Some(token) = optional(query, SECURITY_TOKEN)? else {
        return Ok(None);
    };
    if token.len() > MAX_SESSION_TOKEN_LEN {
        return Err(SigV4Error::ParameterTooLong {
            name: SECURITY_TOKEN,
            limit: MAX_SESSION_TOKEN_LEN,
            actual: token.len(),
        });
    }
    Ok(Some(SessionToken(Zeroizing::new(token.to_owned()))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_expires;
    use crate::auth::sigv4::SigV4Error;

    #[test]
    fn expiry_is_a_number_of_seconds_up_to_a_week() {
        for (text, secs) in [("1", 1), ("900", 900), ("0900", 900), ("604800", 604_800)] {
            assert_eq!(parse_expires(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for bad in ["", "0", "604801", "-1", "+1", "1.5", "1e3", " 1", "18446744073709551616", "\u{661}"] {
            assert_eq!(
                parse_expires(bad),
                Err(SigV4Error::MalformedExpires { actual: bad.to_owned() }),
                "{bad}"
            );
        }
    }
}
