//! Signs requests as an AWS client does, with HMAC-SHA-256 of RustCrypto.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
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
    let calendar = now.to_calendar().unwrap();
    let date = format!("{:04}{:02}{:02}", calendar.year(), u8::from(calendar.month()), calendar.day());
    let time = format!("{date}T{:02}{:02}{:02}Z", calendar.hour(), calendar.minute(), calendar.second());
    head.headers.insert("x-amz-date", HeaderValue::from_str(&time).unwrap());
    if let Some(token) = &credential.session_token {
        head.headers.insert("x-amz-security-token", HeaderValue::from_str(token).unwrap());
    }

    let mut names: Vec<&str> = head.headers.keys().map(hyper::header::HeaderName::as_str).collect();
    names.sort_unstable();
    let signed_headers = names.join(";");
    let headers: String =
        names.iter().map(|name| format!("{name}:{}\n", head.headers[*name].to_str().unwrap())).collect();
    let body_sha256 = hex::encode(Sha256::digest(&body));
    let canonical_request =
        format!("{}\n{}\n\n{headers}\n{signed_headers}\n{body_sha256}", head.method, head.uri.path());

    let scope = format!("{date}/{REGION}/kms/aws4_request");
    let string_to_sign =
        format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical_request)));
    let secret = format!("AWS4{}", credential.secret).into_bytes();
    let key = [&date, REGION, "kms", "aws4_request"]
        .iter()
        .fold(secret, |key, part| hmac_sha256(&key, part.as_bytes()).to_vec());
    let signature = hex::encode(hmac_sha256(&key, string_to_sign.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
        credential.access_key_id
    );
    head.headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
    Request::from_parts(head, Full::new(body))
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
