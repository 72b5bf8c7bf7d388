//! Signs requests as an AWS client does, with HMAC-SHA-256 of RustCrypto.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use nitro_key_broker::time::UnixTime;
use sha2::{Digest, Sha256};

use crate::broker::{REGION, TestCredential};

/// `request` with a date, the session token and an `Authorization` that covers every header.
pub async fn sign(
    request: Request<Full<Bytes>>,
    credential: &TestCredential,
    now: UnixTime,
) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let time = basic_date_time(now);
    head.headers.insert("x-amz-date", HeaderValue::from_str(&time).unwrap());
    if let Some(token) = &credential.session_token {
        head.headers.insert("x-amz-security-token", HeaderValue::from_str(token).unwrap());
    }

    let scope = scope(&time);
    let signed_headers = header_names(&head);
    let signature = signature(&head, "", &body, &time, &credential.secret);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
        credential.access_key_id
    );
    head.headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
    Request::from_parts(head, Full::new(body))
}

/// `request` with everything in its query, which covers every header, for so many seconds from `now` on.
pub async fn presign(
    request: Request<Full<Bytes>>,
    credential: &TestCredential,
    now: UnixTime,
    expires_secs: u32,
) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let time = basic_date_time(now);
    let claimed = format!("{}/{}", credential.access_key_id, scope(&time));
    let token = credential.session_token.as_ref();
    let query = [
        Some("X-Amz-Algorithm=AWS4-HMAC-SHA256".to_owned()),
        Some(format!("X-Amz-Credential={}", percent_encode(&claimed))),
        Some(format!("X-Amz-Date={time}")),
        Some(format!("X-Amz-Expires={expires_secs}")),
        token.map(|token| format!("X-Amz-Security-Token={}", percent_encode(token))),
        Some(format!("X-Amz-SignedHeaders={}", percent_encode(&header_names(&head)))),
    ];
    let query = query.into_iter().flatten().collect::<Vec<_>>().join("&");
    let signature = signature(&head, &query, &body, &time, &credential.secret);
    head.uri = format!("{}?{query}&X-Amz-Signature={signature}", head.uri.path()).parse().unwrap();
    Request::from_parts(head, Full::new(body))
}

fn signature(head: &Parts, query: &str, body: &[u8], time: &str, secret: &str) -> String {
    let signed_headers = header_names(head);
    let headers: String = signed_headers
        .split(';')
        .map(|name| format!("{name}:{}\n", head.headers[name].to_str().unwrap()))
        .collect();
    let canonical_request = format!(
        "{}\n{}\n{query}\n{headers}\n{signed_headers}\n{}",
        head.method,
        head.uri.path(),
        hex::encode(Sha256::digest(body))
    );
    let scope = scope(time);
    let string_to_sign =
        format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical_request)));
    let key = scope
        .split('/')
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac_sha256(&key, part.as_bytes()).to_vec());
    hex::encode(hmac_sha256(&key, string_to_sign.as_bytes()))
}

fn header_names(head: &Parts) -> String {
    let mut names: Vec<&str> = head.headers.keys().map(hyper::header::HeaderName::as_str).collect();
    names.sort_unstable();
    names.join(";")
}

fn scope(time: &str) -> String {
    format!("{}/{REGION}/kms/aws4_request", &time[..8])
}

fn basic_date_time(now: UnixTime) -> String {
    let time = now.to_calendar().unwrap();
    let (month, day) = (u8::from(time.month()), time.day());
    format!(
        "{:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        time.year(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// RFC 2104.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}
