//! A request that owns its parts, and a signer with a hash and an HMAC that are not the broker's.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use nitro_key_broker::auth::sigv4::{
    RawRequest, Scope, SigV4Error, SignatureWindow, VerifiedSignature, parse_signed_request,
};
use nitro_key_broker::time::UnixTime;
use sha2::{Digest, Sha256};

pub const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const KMS: Scope<'static> = Scope { region: "eu-central-1", service: "kms" };
/// What a client signs of [`Message::kms`] in the header form, and in the query form.
pub const SIGNED: &[&str] = &["content-type", "host", "x-amz-date", "x-amz-target"];
pub const PRESIGNED: &[&str] = &["content-type", "host", "x-amz-target"];

const DATE: &str = "20260103T204107Z";
const SCOPE: &str = "20260103/eu-central-1/kms/aws4_request";

pub fn signing_time() -> UnixTime {
    UnixTime::parse_rfc3339("2026-01-03T20:41:07Z").unwrap()
}

#[derive(Clone)]
pub struct Message {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Message {
    /// A KMS call without a signature and without a date.
    pub fn undated() -> Self {
        let mut message = Self {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: b"{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}".to_vec(),
        };
        message.set("content-type", "application/x-amz-json-1.1");
        message.set("host", "localhost:8443");
        message.set("user-agent", "not signed");
        message.set("x-amz-target", "TrentService.GenerateDataKey");
        message
    }

    /// A KMS call without a signature.
    pub fn kms() -> Self {
        let mut message = Self::undated();
        message.set("x-amz-date", DATE);
        message
    }

    /// Reads `METHOD target HTTP/1.1`, header lines, an empty line and the body. A line that begins with a space goes on
    /// with the header before it, as RFC 9112 section 5.2 has it.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let (line, headers) = head.trim_end().split_once('\n').unwrap();
        let (method, target) = line.strip_suffix(" HTTP/1.1").unwrap_or(line).split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut message = Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        for (name, value) in headers.replace("\n ", " ").lines().map(|line| line.split_once(':').unwrap()) {
            let value = HeaderValue::from_str(value).unwrap();
            message.headers.append(name.parse::<HeaderName>().unwrap(), value);
        }
        message
    }

    pub fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }

    pub fn edit_authorization(&mut self, edit: impl FnOnce(&str) -> String) {
        let edited = edit(self.headers["authorization"].to_str().unwrap());
        self.set("authorization", &edited);
    }

    pub fn signed(self) -> Self {
        self.signed_over(SIGNED)
    }

    /// Signed in the header form; for path `/`, no query, and header values already canonical.
    pub fn signed_over(mut self, names: &[&str]) -> Self {
        let signature = self.signature("", names, &sha256_hex(&self.body));
        let names = names.join(";");
        self.set(
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/{SCOPE}, SignedHeaders={names}, Signature={signature}"
            ),
        );
        self
    }

    pub fn presigned(self, expires: &str) -> Self {
        self.presigned_with(PRESIGNED, expires, &[])
    }

    /// Signed in the query form, with more parameters under the signature; header values already canonical.
    pub fn presigned_with(self, names: &[&str], expires: &str, more: &[(&str, &str)]) -> Self {
        let body_sha256 = sha256_hex(&self.body);
        self.presigned_over(names, expires, more, &body_sha256)
    }

    pub fn presigned_over(
        mut self,
        names: &[&str],
        expires: &str,
        more: &[(&str, &str)],
        body_sha256: &str,
    ) -> Self {
        let credential = format!("AKIDEXAMPLEAKIDEXAMP/{SCOPE}");
        let joined = names.join(";");
        let mut parameters = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &*credential),
            ("X-Amz-Date", DATE),
            ("X-Amz-Expires", expires),
            ("X-Amz-SignedHeaders", &*joined),
        ];
        parameters.extend(more);
        parameters.sort_unstable();
        let query: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        let query = query.join("&");
        let signature = self.signature(&query, names, body_sha256);
        self.query = format!("{query}&X-Amz-Signature={signature}");
        self
    }

    /// Without the parameters of that name.
    pub fn without_parameter(&self, name: &str) -> Self {
        let kept = self.query.split('&').filter(|pair| pair.split('=').next() != Some(name));
        Self { query: kept.collect::<Vec<_>>().join("&"), ..self.clone() }
    }

    pub fn with_parameter(&self, name: &str, value: &str) -> Self {
        Self { query: format!("{}&{name}={}", self.query, percent_encode(value)), ..self.clone() }
    }

    /// With another value of that parameter.
    pub fn with_changed_parameter(&self, name: &str, value: &str) -> Self {
        self.without_parameter(name).with_parameter(name, value)
    }

    fn signature(&self, canonical_query: &str, names: &[&str], body_sha256: &str) -> String {
        let lines: String =
            names.iter().map(|name| format!("{name}:{}\n", self.headers[*name].to_str().unwrap())).collect();
        let canonical =
            format!("{}\n/\n{canonical_query}\n{lines}\n{}\n{body_sha256}", self.method, names.join(";"));
        let to_sign = format!("AWS4-HMAC-SHA256\n{DATE}\n{SCOPE}\n{}", sha256_hex(canonical.as_bytes()));
        let key =
            SCOPE.split('/').fold([b"AWS4", SECRET].concat(), |key, part| hmac_sha256(&key, part.as_bytes()));
        hex::encode(hmac_sha256(&key, to_sign.as_bytes()))
    }

    pub fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    pub fn parse_error(&self) -> SigV4Error {
        parse_signed_request(self.raw()).unwrap_err()
    }

    pub fn verify_if_signed(
        &self,
        secret: &[u8],
        scope: &Scope<'_>,
        now: UnixTime,
    ) -> Result<Option<VerifiedSignature>, SigV4Error> {
        let window = SignatureWindow::default();
        parse_signed_request(self.raw())?.map(|signed| signed.verify(secret, scope, &window, now)).transpose()
    }

    pub fn verify(
        &self,
        secret: &[u8],
        scope: &Scope<'_>,
        now: UnixTime,
    ) -> Result<VerifiedSignature, SigV4Error> {
        self.verify_if_signed(secret, scope, now).map(|verified| verified.expect("the request is signed"))
    }

    /// Verifies with the right secret and scope, at the time of signing.
    pub fn verify_now(&self) -> Result<VerifiedSignature, SigV4Error> {
        self.verify(SECRET, &KMS, signing_time())
    }
}

pub fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// RFC 2104, for keys of up to one block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}
