//! A caller's HTTP request and its answer.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use super::exchange::{self, Exception};
use crate::client::{Answer, BrokerClient, ClientError};

/// The longest body that is read; the broker takes no more either.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How long a caller may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// What `X-Amz-Target` begins with.
const SERVICE: &str = "TrentService.";

/// The longest operation's name of the service model has 35 characters.
const MAX_OPERATION_CHARS: usize = 64;

const JSON: &str = "application/x-amz-json-1.1";

/// Answers one request, whatever becomes of it.
pub(super) async fn answer(
    request: Request<Incoming>,
    client: &BrokerClient,
    report: fn(&str, &ClientError),
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match read(request).await {
        Err(exception) => refuse(&exception),
        Ok((operation, body)) => match exchange::run(client, &operation, body).await {
            Ok(answer) => answer,
            Err(error) => {
                report(&operation, &error);
                refuse(&Exception::from(&error))
            }
        },
    };
    Ok(response(answer))
}

/// The operation and the body of a request that is one to KMS.
async fn read(request: Request<Incoming>) -> Result<(String, Bytes), Exception> {
    if request.method() != Method::POST || request.uri().path() != "/" {
        return Err(Exception::unknown_operation("KMS takes POST / and nothing else"));
    }
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target
        .and_then(|target| target.strip_prefix(SERVICE))
        .filter(|name| (1..=MAX_OPERATION_CHARS).contains(&name.len()))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .ok_or_else(|| Exception::unknown_operation("X-Amz-Target names no operation of TrentService"))?
        .to_owned();
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    match timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok((operation, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Exception::serialization(format!("the body is longer than {MAX_BODY_BYTES} bytes")))
        }
        Ok(Err(_)) => Err(Exception::serialization("the body ends too early")),
        Err(_) => Err(Exception::serialization("the body did not come in time")),
    }
}

fn refuse(exception: &Exception) -> Answer {
    let Exception { status, code, message } = exception;
    let body = json!({"__type": code, "message": message}).to_string();
    Answer { status: *status, request_id: None, body: body.into() }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let Answer { status, request_id, body } = answer;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static(JSON));
    // SDKs put it into their exceptions: the broker's, so that its audit log can be asked.
    let request_id = request_id.unwrap_or_else(own_request_id);
    if let Ok(value) = request_id.parse() {
        headers.insert("x-amzn-requestid", value);
    }
    response
}

/// For answers that the broker had no part in.
fn own_request_id() -> String {
    let mut bytes = [0; 12];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => format!("proxy-{}", URL_SAFE_NO_PAD.encode(bytes)),
        Err(_) => "proxy".to_owned(),
    }
}
