//! The claim: what a request says about its signature, in either form, and how each part of it is read.

use hyper::HeaderMap;
use time::{Date, Month, PrimitiveDateTime, Time};
use zeroize::Zeroizing;

use super::window::Lifetime;
use super::{SessionToken, SigV4Error, TERMINATOR};
use crate::crypto::SHA256_LEN;
use crate::text::shorten;
use crate::time::UnixTime;

/// IAM's `accessKeyIdType`: at most 128 of `\w`.
pub const MAX_ACCESS_KEY_ID_LEN: usize = 128;

/// Longest region or service name read; a DNS label has 63 octets (RFC 1035 section 2.3.4).
pub const MAX_SCOPE_PART_LEN: usize = 63;

/// Most headers under one signature. AWS's clients sign at most a dozen.
pub const MAX_SIGNED_HEADERS: usize = 64;

/// Longest session token read: STS states that its tokens typically stay under 4,096 bytes.
pub const MAX_SESSION_TOKEN_LEN: usize = 4096;

/// The header that may hold the body's hash; in the query in any spelling, as signers move headers there.
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The parameter of the query form that holds the session token, and, in lower case, the header.
pub(super) const SECURITY_TOKEN: &str = "X-Amz-Security-Token";

/// Who is said to have signed what, and when.
pub(super) struct Claim {
    pub(super) access_key_id: String,
    pub(super) scope: ClaimedScope,
    /// Lower-case, strictly ascending.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; SHA256_LEN],
    pub(super) signed_at: SignedAt,
    pub(super) lifetime: Lifetime,
    pub(super) session_token: Option<SessionToken>,
}

/// What the credential says that its key is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClaimedScope {
    /// `YYYYMMDD`.
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
}

/// The request's own date, in the form `YYYYMMDDTHHMMSSZ`.
pub(super) struct SignedAt {
    /// The header or parameter that it is from.
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) time: UnixTime,
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

/// `<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request`.
pub(super) fn parse_credential(credential: &str) -> Result<(String, ClaimedScope), SigV4Error> {
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
    let scope =
        ClaimedScope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
    Ok((access_key_id.to_owned(), scope))
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

/// Lower-case names in ascending order, `;` between them.
pub(super) fn parse_signed_headers(list: &str) -> Result<Vec<String>, SigV4Error> {
    let names: Vec<&str> = list.split(';').take(MAX_SIGNED_HEADERS + 1).collect();
    let in_order = names.iter().zip(names.iter().skip(1)).all(|(name, next)| name < next);
    if names.len() > MAX_SIGNED_HEADERS
        || !in_order
        || !names.iter().all(|name| is_lower_case_field_name(name))
    {
        return Err(SigV4Error::MalformedSignedHeaders);
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// A `token` of RFC 9110 section 5.6.2 without upper-case letters.
fn is_lower_case_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

/// 64 lower-case hexadecimal digits.
pub(super) fn parse_signature(text: &str) -> Result<[u8; 32], SigV4Error> {
    let is_lower_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut signature = [0; 32];
    if !is_lower_hex || hex::decode_to_slice(text, &mut signature).is_err() {
        return Err(SigV4Error::MalformedSignature);
    }
    Ok(signature)
}

/// The date in the header or parameter `name`.
pub(super) fn parse_signed_at(name: &'static str, text: &str) -> Result<SignedAt, SigV4Error> {
    let time = parse_basic_date_time(text)
        .ok_or_else(|| SigV4Error::MalformedDate { name, actual: shorten(text) })?;
    Ok(SignedAt { name, text: text.to_owned(), time })
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

/// The session token in the header `X-Amz-Security-Token`.
pub(super) fn parse_session_token(headers: &HeaderMap) -> Result<Option<SessionToken>, SigV4Error> {
    const NAME: &str = "x-amz-security-token";
    let Some(token) = single_header(headers, NAME)? else {
        return Ok(None);
    };
    if token.len() > MAX_SESSION_TOKEN_LEN {
        return Err(SigV4Error::HeaderTooLong {
            name: NAME,
            limit: MAX_SESSION_TOKEN_LEN,
            actual: token.len(),
        });
    }
    Ok(Some(SessionToken(Zeroizing::new(token.to_owned()))))
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
        assert_eq!(parse_signed_headers("date;host"), Ok(vec!["date".to_owned(), "host".to_owned()]));
        let many = (0..65).map(|n| format!("h{n:02}")).collect::<Vec<_>>().join(";");
        for bad in ["", ";", "host;", "host;date", "host;host", "Host", "ho st", "h\u{f6}st", &many] {
            assert_eq!(parse_signed_headers(bad), Err(SigV4Error::MalformedSignedHeaders), "{bad}");
        }
    }
}
