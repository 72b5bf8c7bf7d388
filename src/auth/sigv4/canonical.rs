//! The canonical request: the one byte form of a request that signer and verifier hash.

use super::RawRequest;
use super::query::push_percent_encoded;

/// Method, path, query, signed headers, their names and the body's hash, each on its line; `signed_headers` in order.
pub(super) fn canonical_request(
    request: &RawRequest<'_>,
    canonical_query: &str,
    signed_headers: &[String],
    body_sha256: &str,
) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(512);
    for line in [request.method, &canonical_path(request.path), canonical_query] {
        canonical.extend_from_slice(line.as_bytes());
        canonical.push(b'\n');
    }
    for name in signed_headers {
        canonical.extend_from_slice(name.as_bytes());
        canonical.push(b':');
        for (i, value) in request.headers.get_all(name).iter().enumerate() {
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
    canonical
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
        push_percent_encoded(&mut canonical, segment.as_bytes());
    }
    let names_a_folder = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    if segments.is_empty() || names_a_folder {
        canonical.push('/');
    }
    canonical
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
    use super::{canonical_path, push_collapsed};

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
            ("/a/b/.", "/a/b/"),
            ("/a/b/..", "/a/"),
            ("/a/...", "/a/..."),
            ("/-._~0Az", "/-._~0Az"),
            ("/example%20space", "/example%2520space"),
            ("/\u{1234}", "/%E1%88%B4"),
        ] {
            assert_eq!(canonical_path(path), canonical, "{path}");
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
