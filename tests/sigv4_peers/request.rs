//! Requests, unsigned and signed.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use nitro_key_broker::auth::sigv4::{RawRequest, Scope, SigV4Error, SignatureWindow, parse_signed_request};
use nitro_key_broker::time::UnixTime;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Of the length that AWS's have; the other verifier takes no other.
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const ACCESS_KEY_ID: &str = "AKIDEXAMPLEAKIDEXAMP";
const SCOPE: Scope<'static> = Scope { region: "eu-central-1", service: "kms" };

/// Where a signature goes: into a header, or into the query for so many seconds.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Header,
    Query(u64),
}

/// A request before it is signed, and after.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Decoded.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub session_token: Option<String>,
    /// When it is signed or, once it is, received.
    pub now_secs: u64,
    /// Whether the signer puts the body's hash into a header.
    pub content_sha256: bool,
}

/// Requests that an HTTP client could send.
pub fn requests() -> impl Strategy<Value = Request> {
    let segment =
        prop_oneof![Just(String::new()), Just(".".into()), Just("..".into()), "[a-zA-Z0-9._~-]{1,8}"];
    let path =
        prop_oneof![Just("/".to_owned()), vec(segment, 1..6).prop_map(|it| format!("/{}", it.join("/")))];
    // No name of the query form, and no header that means something to the signature.
    let parameter = ("[a-wyzA-WYZ].{0,8}", ".{0,12}");
    let header = ("my-[a-z0-9-]{1,6}", "[!-~]([ -~]{0,20}[!-~])?");
    let amz_header = ("x-amz-(target|other-[a-z]{1,4})", "[!-~]{1,30}");
    (
        (prop_oneof![Just("POST"), Just("GET"), Just("PUT")], path, vec(parameter, 0..5)),
        (vec(header, 0..4), vec(amz_header, 0..3), any::<bool>()),
        vec(any::<u8>(), 0..100),
        proptest::option::of("[A-Za-z0-9/+=]{1,200}"),
        1_000_000_000..4_000_000_000_u64,
    )
        .prop_map(
            |((method, path, query), (others, amz, content_sha256), body, session_token, now_secs)| {
                let usual = [("host", "127.0.0.1:8443"), ("content-type", "application/x-amz-json-1.1")];
                let usual = usual.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let headers = usual.into_iter().chain(others).chain(amz).collect();
                let method = method.to_owned();
                Request { method, path, query, headers, body, session_token, now_secs, content_sha256 }
            },
        )
}

impl Request {
    pub fn generate_data_key() -> Self {
        let headers = [
            ("host", "127.0.0.1:8443"),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "TrentService.GenerateDataKey"),
        ];
        Self {
            method: "POST".into(),
            path: "/".into(),
            query: Vec::new(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: br#"{"KeyId":"alias/app","KeySpec":"AES_256"}"#.to_vec(),
            session_token: None,
            now_secs: 1_767_472_867,
            content_sha256: false,
        }
    }

    /// What the broker says of it, given the credential that signed it.
    pub fn verify(&self) -> Result<(), SigV4Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let raw = RawRequest {
            method: &self.method,
            path: &self.path,
            query: &self.encoded_query(),
            headers: &headers,
            body: &self.body,
        };
        let signed = parse_signed_request(raw)?.expect("it is signed");
        let now = UnixTime::from_secs(self.now_secs);
        let verified = signed.verify(SECRET.as_bytes(), &SCOPE, &SignatureWindow::default(), now)?;
        assert_eq!(verified.access_key_id(), ACCESS_KEY_ID);
        let token = verified.session_token().map(|token| token.expose().to_owned());
        assert_eq!(token, self.session_token);
        Ok(())
    }

    pub fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(found, _)| found == name).unwrap().1
    }

    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut request = self.clone();
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub fn with_changed_header(&self, name: &str, change: impl Fn(&str) -> String) -> Self {
        let mut request = self.clone();
        for (_, value) in request.headers.iter_mut().filter(|(found, _)| found == name) {
            *value = change(value);
        }
        request
    }

    pub fn with_parameter(&self, name: &str, value: &str) -> Self {
        let mut request = self.clone();
        request.query.push((name.to_owned(), value.to_owned()));
        request
    }

    pub fn later(mut self, secs: u64) -> Self {
        self.now_secs += secs;
        self
    }

    /// As the program of the peers takes it.
    pub fn to_json(&self) -> Value {
        let query = self.encoded_query();
        let separator = if query.is_empty() { "" } else { "?" };
        json!({
            "method": self.method,
            "path_and_query": format!("{}{separator}{query}", self.path),
            "headers": self.headers,
            "body": hex::encode(&self.body),
        })
    }

    /// The credential that signs, as the program of the peers takes it.
    pub fn credential(&self) -> Value {
        json!({
            "access_key_id": ACCESS_KEY_ID,
            "secret": SECRET,
            "session_token": self.session_token,
            "region": SCOPE.region,
            "service": SCOPE.service,
        })
    }

    fn encoded_query(&self) -> String {
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        pairs.join("&")
    }
}

fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
