//! The header form: the claim in the Authorization header, and the headers that go with it.

use hyper::HeaderMap;

use super::claim::{
    Claim, SignedAt, parse_credential, parse_session_token, parse_signature, parse_signed_at,
    parse_signed_headers, single_header,
};
use super::window::Lifetime;
use super::{ALGORITHM, SigV4Error};

/// Longest Authorization header read. What AWS's clients send stays under 500 bytes; this leaves room for
/// [`MAX_SIGNED_HEADERS`](super::MAX_SIGNED_HEADERS) names of ordinary length.
pub const MAX_AUTHORIZATION_LEN: usize = 4096;

/// Reads the claim in `header`, the value of Authorization, with its date and session token in `headers`.
pub(super) fn parse_authorization(header: &str, headers: &HeaderMap) -> Result<Claim, SigV4Error> {
    if header.len() > MAX_AUTHORIZATION_LEN {
        return Err(SigV4Error::HeaderTooLong {
            name: AUTHORIZATION,
            limit: MAX_AUTHORIZATION_LEN,
            actual: header.len(),
        });
    }
    let fields = Fields::parse(header)?;
    let (access_key_id, scope) = parse_credential(fields.credential)?;
    Ok(Claim {
        access_key_id,
        scope,
        signed_headers: parse_signed_headers(fields.signed_headers)?,
        signature: parse_signature(fields.signature)?,
        signed_at: parse_date_header(headers)?,
        lifetime: Lifetime::NearDate,
        session_token: parse_session_token(headers)?,
    })
}

/// The header's name.
pub(super) const AUTHORIZATION: &str = "authorization";

/// The three fields, each there once.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(header: &'a str) -> Result<Self, SigV4Error> {
        let fields = header
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .ok_or(SigV4Error::UnsupportedAlgorithm)?;

        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in fields.split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=').ok_or(SigV4Error::UnknownField)?;
            let (slot, field) = match name {
                "Credential" => (&mut credential, CREDENTIAL),
                "SignedHeaders" => (&mut signed_headers, SIGNED_HEADERS),
                "Signature" => (&mut signature, SIGNATURE),
                _ => return Err(SigV4Error::UnknownField),
            };
            if slot.replace(value).is_some() {
                return Err(SigV4Error::RepeatedField { field });
            }
        }
        Ok(Self {
            credential: credential.ok_or(SigV4Error::MissingField { field: CREDENTIAL })?,
            signed_headers: signed_headers.ok_or(SigV4Error::MissingField { field: SIGNED_HEADERS })?,
            signature: signature.ok_or(SigV4Error::MissingField { field: SIGNATURE })?,
        })
    }
}

const CREDENTIAL: &str = "Credential";
const SIGNED_HEADERS: &str = "SignedHeaders";
const SIGNATURE: &str = "Signature";

/// `X-Amz-Date` goes before `Date`, which a proxy or the HTTP library may have set to its own.
fn parse_date_header(headers: &HeaderMap) -> Result<SignedAt, SigV4Error> {
    for header in ["x-amz-date", "date"] {
        if let Some(text) = single_header(headers, header)? {
            return parse_signed_at(header, text);
        }
    }
    Err(SigV4Error::MissingDate)
}
