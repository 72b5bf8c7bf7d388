//! The canonical request: the one byte form of a request that signer and verifier hash.

use std::fmt::Write as _;

use super::{RawRequest, SigV4Error};

/// Method, path, query, signed headers, their names and the body's hash, each on its line; `signed_headers` in order.
///
/// # Errors
/// [`SigV4Error::MalformedQuery`] when the query has a percent sign without two hexadecimal digits.
pub(super) fn canonical_request(
    request: &RawRequest<'_>,
    signed_headers: &[&str],
    body_sha256: &str,
) -> Result<Vec<u8>, SigV4Error> {
    let mut canonical = Vec::with_capacity(512);
    for line in [request.method, &canonical_path(request.path), &canonical_query(request.query)?] {
        canonical.extend_from_slice(line.as_bytes());
        canonical.push(b'\n');
    }
    for name in signed_headers {
        canonical.extend_from_slice(name.as_bytes());
        canonical.push(b':');
        for (i, value) in request.headers.get_all(*name).iter().enumerate() {
            if i > 0 {
                canonical.push(b',');
            }
            push_collapsed(&mut canonical, value.as_bytes());
        }
        canonical.push(b'\n');
    }
    canonical.push(b'\n');
    canonical.extend_from_slice(signed_headers.join(";").as_bytes());
    canonical.push(b'\n');
    canonical.extend_from_slice(body_sha256.as_bytes());
    Ok(canonical)
}

/// The path with its dot segments resolved (RFC 3986 section 5.2.4) and empty ones dropped, then percent-encoded once
/// more over what the wire already has: every service but S3 does so.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 1);
    for segment in &segments {
        canonical.push('/');
        push_encoded(&mut canonical, segment.as_bytes());
    }
    if segments.is_empty() || path.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// The parameters decoded, encoded in the one way, and sorted by name, then value.
fn canonical_query(query: &str) -> Result<String, SigV4Error> {
    if query.is_empty() {
        return Ok(String::new());
    }
    let mut pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((encode(&percent_decode(name)?), encode(&percent_decode(value)?)))
        })
        .collect::<Result<Vec<_>, SigV4Error>>()?;
    pairs.sort_unstable();
    Ok(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

fn percent_decode(text: &str) -> Result<Vec<u8>, SigV4Error> {
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
    Ok(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    push_encoded(&mut encoded, bytes);
    encoded
}

/// Percent-encodes everything but RFC 3986's unreserved characters, with upper-case digits.
fn push_encoded(encoded: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

/// A header's value without white space around it and with runs of spaces inside it made one.
fn push_collapsed(canonical: &mut Vec<u8>, value: &[u8]) {
    let mut previous = b' ';
    let value = value.trim_ascii();
    for byte in value {
        if *byte != b' ' || previous != b' ' {
            canonical.push(*byte);
        }
        previous = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical_path, canonical_query, push_collapsed};
    use crate::auth::sigv4::SigV4Error;

    #[test]
    fn paths_are_resolved_and_encoded_once_more() {
        for (path, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/../..", "/"),
            ("//example//", "/example/"),
            ("/example/..", "/"),
            ("/a/./b/../c", "/a/c"),
            ("/-._~0Az", "/-._~0Az"),
            ("/example%20space", "/example%2520space"),
            ("/\u{1234}", "/%E1%88%B4"),
        ] {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
    }

    #[test]
    fn queries_are_sorted_in_one_encoding() {
        for (query, canonical) in [
            ("", ""),
            ("b=2&a=1&a=0", "a=0&a=1&b=2"),
            ("flag", "flag="),
            ("a=%7e%2f+", "a=~%2F%2B"),
            ("a=b=c", "a=b%3Dc"),
        ] {
            assert_eq!(canonical_query(query).as_deref(), Ok(canonical), "{query}");
        }
        for bad in ["%", "a=%1", "a=%zz", "%+1=a"] {
            assert_eq!(canonical_query(bad), Err(SigV4Error::MalformedQuery), "{bad}");
        }
    }

    #[test]
    fn header_values_are_trimmed_and_collapsed() {
        for (value, canonical) in
            [("", ""), ("  a   b\t ", "a b"), ("\"a   b\"", "\"a b\""), ("a\tb", "a\tb")]
        {
            let mut collapsed = Vec::new();
            push_collapsed(&mut collapsed, value.as_bytes());
            assert_eq!(collapsed, canonical.as_bytes(), "{value}");
        }
    }
}
