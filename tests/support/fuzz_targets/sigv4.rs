//! SigV4 in both forms: an HTTP request in text, `METHOD target`, header lines, an empty line and the body.
//!
//! A signature of 64 zeros is replaced by the right one first, so that the fuzzer gets past the comparison. The right
//! one comes from a second implementation, written from the IAM User Guide and sharing nothing with the verifier.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use nitro_key_broker::auth::sigv4::{RawRequest, Scope, SigV4Error, SignatureWindow, parse_signed_request};
use nitro_key_broker::time::UnixTime;
use sha2::{Digest, Sha256};

pub const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const UNSIGNED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub fn run(input: &[u8]) {
    let Some(mut request) = Request::read(input) else { return };
    let claim = request.claim();
    if let Some(claim) = claim.as_ref().filter(|claim| claim.signature == UNSIGNED)
        && let Some(signature) = request.signature(claim)
    {
        request.replace_signature(&signature);
    }
    let scope_and_time = claim.as_ref().map(|claim| (claim.scope(), claim.time()));
    let raw = request.raw();
    match parse_signed_request(raw) {
        Ok(None) => assert!(claim.is_none() && !request.claims_a_caller(), "taken for anonymous"),
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(Some(signed)) => {
            let claim = request.claim().expect("the second implementation reads what the first one does");
            let (scope, time) = scope_and_time.expect("as before");
            let scope = Scope { region: &scope.0, service: &scope.1 };
            let now = time.expect("what is accepted has a date");
            let expected = request.signature(&claim);
            let window = SignatureWindow::default();
            match signed.verify(SECRET, &scope, &window, now) {
                Ok(verified) => {
                    assert_eq!(expected.as_deref(), Some(&*claim.signature));
                    assert_eq!(verified.access_key_id(), signed.access_key_id());
                    let last = UnixTime::from_ms(now.as_ms() + claim.lasts_secs * 1000);
                    signed.verify(SECRET, &scope, &window, last).expect("it counts to the end of its time");
                    let late = UnixTime::from_ms(last.as_ms() + 1);
                    let error = signed.verify(SECRET, &scope, &window, late).unwrap_err();
                    assert!(matches!(error, SigV4Error::Expired { .. }));
                    let other = signed.verify(b"another secret", &scope, &window, now).unwrap_err();
                    assert_eq!(other, SigV4Error::SignatureMismatch);
                }
                Err(SigV4Error::SignatureMismatch) => {
                    assert_ne!(expected.as_deref(), Some(&*claim.signature), "a right signature is refused");
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

/// What an Authorization header or a query says, read without any check.
struct Claim {
    credential: Vec<String>,
    date: Option<String>,
    lasts_secs: u64,
    signed_headers: String,
    signature: String,
}

impl Claim {
    fn scope(&self) -> (String, String) {
        let part = |at| self.credential.get(at).cloned().unwrap_or_default();
        (part(2), part(3))
    }

    fn time(&self) -> Option<UnixTime> {
        let date = self.date.as_deref()?;
        let part = |from, to| date.get(from..to);
        let (day, clock) =
            ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(9, 11)?, part(11, 13)?, part(13, 15)?));
        let text = format!("{}-{}-{}T{}:{}:{}Z", day.0, day.1, day.2, clock.0, clock.1, clock.2);
        UnixTime::parse_rfc3339(&text).ok()
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn read(input: &[u8]) -> Option<Self> {
        let end_of_head = input.windows(2).position(|window| window == b"\n\n").unwrap_or(input.len());
        let body = input.get(end_of_head + 2..).unwrap_or_default().to_vec();
        let mut lines = input[..end_of_head].split(|byte| *byte == b'\n');
        let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in lines.take(100) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
        }
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        })
    }

    fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    /// Whether anything in the request is of the header form or of the query form.
    fn claims_a_caller(&self) -> bool {
        const OF_THE_QUERY: [&str; 8] = [
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
            "x-amz-expires",
            "x-amz-signedheaders",
            "x-amz-signature",
            "x-amz-security-token",
            "x-amz-content-sha256",
        ];
        let names = decoded_pairs(&self.query).unwrap_or_default().into_iter().map(|(name, _)| name);
        self.headers.contains_key("authorization")
            || names
                .into_iter()
                .any(|name| OF_THE_QUERY.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())))
    }

    fn claim(&self) -> Option<Claim> {
        self.claim_in_header().or_else(|| self.claim_in_query())
    }

    fn claim_in_query(&self) -> Option<Claim> {
        let fields: BTreeMap<String, String> = decoded_pairs(&self.query)?
            .into_iter()
            .filter_map(|(name, value)| {
                Some((String::from_utf8(name).ok()?.to_lowercase(), String::from_utf8(value).ok()?))
            })
            .collect();
        Some(Claim {
            credential: fields.get("x-amz-credential")?.split('/').map(str::to_owned).collect(),
            date: fields.get("x-amz-date").cloned(),
            lasts_secs: fields.get("x-amz-expires")?.parse().ok()?,
            signed_headers: fields.get("x-amz-signedheaders")?.clone(),
            signature: fields.get("x-amz-signature")?.clone(),
        })
    }

    fn claim_in_header(&self) -> Option<Claim> {
        let header = self.headers.get("authorization")?.to_str().ok()?;
        let date = self.headers.get("x-amz-date").or_else(|| self.headers.get("date"));
        let fields: BTreeMap<&str, &str> = header
            .strip_prefix("AWS4-HMAC-SHA256 ")?
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        Some(Claim {
            credential: fields.get("Credential")?.split('/').map(str::to_owned).collect(),
            date: date.and_then(|value| Some(value.to_str().ok()?.trim().to_owned())),
            lasts_secs: 15 * 60,
            signed_headers: (*fields.get("SignedHeaders")?).to_owned(),
            signature: (*fields.get("Signature")?).to_owned(),
        })
    }

    fn replace_signature(&mut self, signature: &str) {
        self.query = self.query.replace(UNSIGNED, signature);
        let header = self.headers.get("authorization").and_then(|value| value.to_str().ok());
        if let Some(header) = header.map(|header| header.replace(UNSIGNED, signature)) {
            self.headers.insert("authorization", HeaderValue::from_str(&header).unwrap());
        }
    }

    /// The signature that the claim should have; `None` where the request has no canonical form.
    fn signature(&self, claim: &Claim) -> Option<String> {
        let headers: String = claim
            .signed_headers
            .split(';')
            .map(|name| Some(format!("{name}:{}\n", self.header_line(name)?)))
            .collect::<Option<_>>()?;
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            self.method,
            canonical_path(&self.path),
            canonical_query(&self.query)?,
            claim.signed_headers,
            hex::encode(Sha256::digest(&self.body)),
        );
        let scope = claim.credential.get(1..)?.join("/");
        let date = claim.date.as_deref()?;
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(&canonical)));
        let key = claim
            .credential
            .iter()
            .skip(1)
            .fold([b"AWS4", SECRET].concat(), |key, part| hmac_sha256(&key, part.as_bytes()));
        Some(hex::encode(hmac_sha256(&key, to_sign.as_bytes())))
    }

    /// All values of a header, trimmed, runs of spaces made one; `None` for what is no text.
    fn header_line(&self, name: &str) -> Option<String> {
        let values = self.headers.get_all(HeaderName::from_bytes(name.as_bytes()).ok()?);
        let values: Option<Vec<String>> = values
            .iter()
            .map(|value| {
                let words = std::str::from_utf8(value.as_bytes()).ok()?.trim_matches([' ', '\t']).split(' ');
                Some(words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        Some(values?.join(","))
    }
}

fn canonical_path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !matches!(*segment, "" | ".")) {
        if segment == ".." { drop(segments.pop()) } else { segments.push(percent_encode(segment.as_bytes())) }
    }
    let ends_in_slash = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) && !segments.is_empty();
    format!("/{}{}", segments.join("/"), if ends_in_slash { "/" } else { "" })
}

fn decoded_pairs(query: &str) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| Some((percent_decode(name)?, percent_decode(value)?)))
        .collect()
}

/// Without the signature, which cannot cover itself.
fn canonical_query(query: &str) -> Option<String> {
    let mut pairs: Vec<(String, String)> = decoded_pairs(query)?
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case(b"X-Amz-Signature"))
        .map(|(name, value)| (percent_encode(name), percent_encode(value)))
        .collect();
    pairs.sort();
    Some(pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

fn percent_encode(bytes: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    bytes.iter().map(encode).collect()
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let bytes = part.as_bytes();
        decoded.extend(hex::decode(bytes.get(..2)?).ok()?);
        decoded.extend(bytes.get(2..)?);
    }
    Some(decoded)
}

/// RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    let pad = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([&pad(0x36), message].concat());
    Sha256::digest([&pad(0x5c), inner.as_slice()].concat()).to_vec()
}
