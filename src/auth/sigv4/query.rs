//! The query: its parameters, decoded once, and the one byte form that signer and verifier hash.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::SigV4Error;

/// Longest query read: as much as the server reads of a request's head. A presigned one with the longest session token,
/// each of its bytes percent-encoded, stays under 14 KiB.
pub const MAX_QUERY_LEN: usize = 16 * 1024;

/// Most parameters in a query. The presigned form has eight, and no operation of KMS has any.
pub const MAX_QUERY_PARAMETERS: usize = 64;

/// The parameters of a query in the order of the wire.
pub(super) struct Query<'a>(Vec<Parameter<'a>>);

/// One parameter, percent-decoded: bytes, since an escape may stand for any.
pub(super) struct Parameter<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
}

impl<'a> Query<'a> {
    /// Reads a query without its `?`. A parameter without `=` has the empty value, and empty ones are none.
    pub(super) fn parse(query: &'a str) -> Result<Self, SigV4Error> {
        if query.len() > MAX_QUERY_LEN {
            return Err(SigV4Error::QueryTooLong { limit: MAX_QUERY_LEN, actual: query.len() });
        }
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MAX_QUERY_PARAMETERS {
                return Err(SigV4Error::TooManyParameters { limit: MAX_QUERY_PARAMETERS });
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.push(Parameter { name: percent_decode(name)?, value: percent_decode(value)? });
        }
        Ok(Self(parameters))
    }

    /// The parameters of that name. Case does not count, so that no other spelling slips by.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Parameter<'a>> {
        self.0.iter().filter(move |parameter| parameter.is_named(name))
    }

    /// Name and value of each parameter not of that name, encoded in the one way and sorted by name, then value.
    pub(super) fn canonical_without(&self, name: &str) -> String {
        let mut pairs: Vec<(String, String)> = self
            .0
            .iter()
            .filter(|parameter| !parameter.is_named(name))
            .map(|parameter| (percent_encode(&parameter.name), percent_encode(&parameter.value)))
            .collect();
        pairs.sort_unstable();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

impl Parameter<'_> {
    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn percent_decode(text: &str) -> Result<Cow<'_, [u8]>, SigV4Error> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit))
        else {
            return Err(SigV4Error::MalformedQuery);
        };
        decoded.push(high << 4 | low);
    }
    Ok(Cow::Owned(decoded))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn percent_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    push_percent_encoded(&mut encoded, bytes);
    encoded
}

/// Percent-encodes everything but RFC 3986's unreserved characters, with upper-case digits.
pub(super) fn push_percent_encoded(encoded: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_QUERY_LEN, MAX_QUERY_PARAMETERS, Query, percent_encode};
    use crate::auth::sigv4::SigV4Error;

    fn canonical(query: &str) -> Result<String, SigV4Error> {
        Query::parse(query).map(|query| query.canonical_without("X-Amz-Signature"))
    }

    #[test]
    fn queries_are_sorted_in_one_encoding() {
        for (query, expected) in [
            ("", ""),
            ("&&", ""),
            ("b=2&a=1&a=0", "a=0&a=1&b=2"),
            ("flag", "flag="),
            ("a=%7e%2f+", "a=~%2F%2B"),
            ("a=b=c", "a=b%3Dc"),
        ] {
            assert_eq!(canonical(query).as_deref(), Ok(expected), "{query}");
        }
        for bad in ["%", "a=%1", "a=%zz", "%+1=a"] {
            assert_eq!(canonical(bad), Err(SigV4Error::MalformedQuery), "{bad}");
        }
    }

    #[test]
    fn a_parameter_is_found_and_left_out_in_any_spelling() {
        let query = Query::parse("X-Amz-Signature=1&a=b&x%2damz-signaturE=2&X-Amz-Signature2=3").unwrap();
        let values: Vec<&[u8]> =
            query.named("X-Amz-Signature").map(|parameter| parameter.value.as_ref()).collect();
        assert_eq!(values, [b"1", b"2"]);
        assert_eq!(query.canonical_without("X-Amz-Signature"), "X-Amz-Signature2=3&a=b");
    }

    #[test]
    fn length_and_number_have_limits() {
        let longest = "a".repeat(MAX_QUERY_LEN);
        assert_eq!(canonical(&longest), Ok(format!("{longest}=")));
        assert_eq!(
            canonical(&format!("{longest}a")),
            Err(SigV4Error::QueryTooLong { limit: MAX_QUERY_LEN, actual: MAX_QUERY_LEN + 1 })
        );
        let most = vec!["a"; MAX_QUERY_PARAMETERS].join("&");
        assert_eq!(canonical(&most).unwrap().matches("a=").count(), MAX_QUERY_PARAMETERS);
        assert_eq!(
            canonical(&format!("{most}&a")),
            Err(SigV4Error::TooManyParameters { limit: MAX_QUERY_PARAMETERS })
        );
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(pairs in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 1..20), proptest::collection::vec(any::<u8>(), 0..20)), 0..10,
        )) {
            let query: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
                .collect();
            let form = canonical(&query.join("&")).unwrap();
            prop_assert_eq!(canonical(&form), Ok(form.clone()));
            let query = Query::parse(&form).unwrap();
            for (name, value) in &pairs {
                if let Ok(name) = std::str::from_utf8(name) {
                    prop_assert!(query.named(name).any(|found| found.value.as_ref() == value));
                }
            }
        }
    }
}
