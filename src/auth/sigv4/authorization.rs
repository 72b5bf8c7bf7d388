//! Reading the claim: the Authorization header and the headers that go with it.

use hyper::HeaderMap;
use time::{Date, Month, PrimitiveDateTime, Time};
use zeroize::Zeroizing;

use super::{ALGORITHM, RawRequest, Scope, SessionToken, SigV4Error, SignedAt, SignedRequest, TERMINATOR};
use crate::time::UnixTime;

/// Longest Authorization header read. What AWS's clients send stays under 500 bytes; this leaves room for
/// [`MAX_SIGNED_HEADERS`] names of ordinary length.
pub const MAX_AUTHORIZATION_LEN: usize = 4096;

/// IAM's `accessKeyIdType`: at most 128 of `\w`.
pub const MAX_ACCESS_KEY_ID_LEN: usize = 128;

/// Longest region or service name read; a DNS label has 63 octets (RFC 1035 section 2.3.4).
pub const MAX_SCOPE_PART_LEN: usize = 63;

/// Most headers under one signature. AWS's clients sign at most a dozen.
pub const MAX_SIGNED_HEADERS: usize = 64;

/// Longest session token read: STS states that its tokens typically stay under 4,096 bytes.
pub const MAX_SESSION_TOKEN_LEN: usize = 4096;

/// Reads the claim of a request, or `None` from the anonymous caller, who sends no Authorization header.
///
/// # Errors
/// When there is a claim that cannot be read whole: a request that tried to sign is never taken for an anonymous one.
pub fn parse_authorization(request: RawRequest<'_>) -> Result<Option<SignedRequest<'_>>, SigV4Error> {
    if is_presigned(request.query) {
        return Err(SigV4Error::Presigned);
    }
    let Some(header) = single_header(request.headers, "authorization")? else {
        return Ok(None);
    };
    check_len("authorization", MAX_AUTHORIZATION_LEN, header)?;

    let fields = Fields::parse(header)?;
    let (access_key_id, scope_date, scope) = parse_credential(fields.credential)?;
    Ok(Some(SignedRequest {
        request,
        access_key_id,
        scope_date,
        scope,
        signed_headers: parse_signed_headers(fields.signed_headers)?,
        signature: parse_signature(fields.signature)?,
        signed_at: parse_signed_at(request.headers)?,
        session_token: parse_session_token(request.headers)?,
    }))
}

/// The value of a header that may occur once at most.
pub(super) fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, SigV4Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(SigV4Error::RepeatedHeader { name });
    }
    value
        .to_str()
        .map(|text| Some(text.trim_matches([' ', '\t'])))
        .map_err(|_| SigV4Error::UnreadableHeader { name })
}

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

fn parse_credential(credential: &str) -> Result<(&str, &str, Scope<'_>), SigV4Error> {
    let mut parts = credential.split('/');
    let mut next = |part: &'static str, is_valid: fn(&str) -> bool| {
        parts.next().filter(|text| is_valid(text)).ok_or(SigV4Error::MalformedCredential { part })
    };
    let access_key_id = next("access key id", is_access_key_id)?;
    let date = next("date", |text| text.len() == 8 && is_digits(text))?;
    let region = next("region", is_scope_part)?;
    let service = next("service", is_scope_part)?;
    next("terminator", |text| text == TERMINATOR)?;
    if parts.next().is_some() {
        return Err(SigV4Error::MalformedCredential { part: "terminator" });
    }
    Ok((access_key_id, date, Scope { region, service }))
}

fn is_access_key_id(text: &str) -> bool {
    (1..=MAX_ACCESS_KEY_ID_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_scope_part(text: &str) -> bool {
    (1..=MAX_SCOPE_PART_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_signed_headers(list: &str) -> Result<Vec<&str>, SigV4Error> {
    let names: Vec<&str> = list.split(';').take(MAX_SIGNED_HEADERS + 1).collect();
    let in_order = names.iter().zip(names.iter().skip(1)).all(|(name, next)| name < next);
    if names.len() > MAX_SIGNED_HEADERS
        || !in_order
        || !names.iter().all(|name| is_lower_case_field_name(name))
    {
        return Err(SigV4Error::MalformedSignedHeaders);
    }
    Ok(names)
}

/// A `token` of RFC 9110 section 5.6.2 without upper-case letters.
fn is_lower_case_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

fn parse_signature(text: &str) -> Result<[u8; 32], SigV4Error> {
    let is_lower_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut signature = [0; 32];
    if !is_lower_hex || hex::decode_to_slice(text, &mut signature).is_err() {
        return Err(SigV4Error::MalformedSignature);
    }
    Ok(signature)
}

/// `X-Amz-Date` goes before `Date`, which a proxy or the HTTP library may have set to its own.
fn parse_signed_at(headers: &HeaderMap) -> Result<SignedAt<'_>, SigV4Error> {
    for header in ["x-amz-date", "date"] {
        if let Some(text) = single_header(headers, header)? {
            let time = parse_basic_date_time(text).ok_or(SigV4Error::MalformedDate { name: header })?;
            return Ok(SignedAt { header, text, time });
        }
    }
    Err(SigV4Error::MissingDate)
}

/// `YYYYMMDDTHHMMSSZ`, ISO 8601 basic form in UTC, from 1970 on.
fn parse_basic_date_time(text: &str) -> Option<UnixTime> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || clock.len() != 6 || !is_digits(date) || !is_digits(clock) {
        return None;
    }
    let number = |digits: &str| digits.parse::<u8>().ok();
    let month = Month::try_from(number(date.get(4..6)?)?).ok()?;
    let date = Date::from_calendar_date(date.get(..4)?.parse().ok()?, month, number(date.get(6..)?)?).ok()?;
    let clock =
        Time::from_hms(number(clock.get(..2)?)?, number(clock.get(2..4)?)?, number(clock.get(4..)?)?).ok()?;
    let secs = PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp();
    u64::try_from(secs).ok().map(UnixTime::from_secs)
}

fn parse_session_token(headers: &HeaderMap) -> Result<Option<SessionToken>, SigV4Error> {
    const NAME: &str = "x-amz-security-token";
    let Some(token) = single_header(headers, NAME)? else {
        return Ok(None);
    };
    check_len(NAME, MAX_SESSION_TOKEN_LEN, token)?;
    Ok(Some(SessionToken(Zeroizing::new(token.to_owned()))))
}

fn check_len(name: &'static str, limit: usize, value: &str) -> Result<(), SigV4Error> {
    if value.len() > limit {
        return Err(SigV4Error::HeaderTooLong { name, limit, actual: value.len() });
    }
    Ok(())
}

/// The query parameters that only the presigned form has.
fn is_presigned(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"]
            .iter()
            .any(|presigned| name.eq_ignore_ascii_case(presigned))
    })
}

#[cfg(test)]
mod tests {
    use super::{parse_basic_date_time, parse_credential, parse_signed_headers};
    use crate::auth::sigv4::SigV4Error;
    use crate::time::UnixTime;

    #[test]
    fn reads_dates_of_the_one_form_only() {
        assert_eq!(parse_basic_date_time("20150830T123600Z"), Some(UnixTime::from_secs(1_440_938_160)));
        assert_eq!(parse_basic_date_time("19700101T000000Z"), Some(UnixTime::from_secs(0)));
        for bad in [
            "",
            "20150830",
            "20150830T123600",
            "20150830t123600Z",
            "20150830T123600Z ",
            "20150830T1236000Z",
            "2015083T0123600Z",
            "+2150830T123600Z",
            "20150230T123600Z",
            "20151330T123600Z",
            "20150830T243600Z",
            "20150830T123660Z",
            "19691231T235959Z",
            "２０１５0830T123600Z",
        ] {
            assert_eq!(parse_basic_date_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_the_part_of_the_credential_that_is_wrong() {
        let long = "A".repeat(129);
        for (credential, part) in [
            ("", "access key id"),
            ("/20150830/us-east-1/kms/aws4_request", "access key id"),
            ("AKID EXAMPLE/20150830/us-east-1/kms/aws4_request", "access key id"),
            (&*format!("{long}/20150830/us-east-1/kms/aws4_request"), "access key id"),
            ("AKID", "date"),
            ("AKID/2015083/us-east-1/kms/aws4_request", "date"),
            ("AKID/2015083x/us-east-1/kms/aws4_request", "date"),
            ("AKID/20150830//kms/aws4_request", "region"),
            ("AKID/20150830/US-EAST-1/kms/aws4_request", "region"),
            ("AKID/20150830/us-east-1//aws4_request", "service"),
            ("AKID/20150830/us-east-1/kms", "terminator"),
            ("AKID/20150830/us-east-1/kms/aws3_request", "terminator"),
            ("AKID/20150830/us-east-1/kms/aws4_request/", "terminator"),
        ] {
            assert_eq!(
                parse_credential(credential),
                Err(SigV4Error::MalformedCredential { part }),
                "{credential}"
            );
        }
    }

    #[test]
    fn signed_headers_come_in_order_and_once() {
        assert_eq!(parse_signed_headers("date;host"), Ok(vec!["date", "host"]));
        let many = (0..65).map(|n| format!("h{n:02}")).collect::<Vec<_>>().join(";");
        for bad in ["", ";", "host;", "host;date", "host;host", "Host", "ho st", "h\u{f6}st", &many] {
            assert_eq!(parse_signed_headers(bad), Err(SigV4Error::MalformedSignedHeaders), "{bad}");
        }
    }
}
