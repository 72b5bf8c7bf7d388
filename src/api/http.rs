use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::error::ApiError;
use crate::server::{ReceivedRequest, Response};
use crate::text::shorten;

/// The media type of AWS JSON 1.1, in requests and responses.
const AWS_JSON_1_1: &str = "application/x-amz-json-1.1";
/// What stands before the operation's name in `X-Amz-Target`.
const TARGET_PREFIX: &str = "TrentService.";
/// As the endpoints of AWS answer `GET /ping`.
pub(super) const ANSWER_TO_PING: &str = "healthy";

/// The operation that the headers name, if they name one.
pub(super) fn target_operation(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-target")?.to_str().ok()?.strip_prefix(TARGET_PREFIX)
}

/// Holds method, path, target and media type against the protocol, and yields the operation's name.
pub(super) fn check_target(request: &ReceivedRequest) -> Result<&str, ApiError> {
    if request.method != Method::POST {
        return Err(ApiError::method_not_allowed(request.method.as_str()));
    }
    if request.uri.path() != "/" {
        return Err(ApiError::unknown_path(request.uri.path()));
    }
    if request.headers.get_all("x-amz-target").iter().count() > 1 {
        return Err(ApiError::repeated_target());
    }
    let operation =
        target_operation(&request.headers).filter(|name| !name.is_empty()).ok_or_else(ApiError::no_target)?;
    let media_type =
        request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(AWS_JSON_1_1) {
        return Err(ApiError::media_type(AWS_JSON_1_1, essence));
    }
    Ok(operation)
}

pub(super) fn is_ping(request: &ReceivedRequest) -> bool {
    request.method == Method::GET && request.uri.path() == "/ping"
}

/// The `User-Agent`, cut to a length fit for a record.
pub(super) fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(USER_AGENT)?.to_str().ok().map(shorten)
}

pub(super) fn success_response(request_id: &str, body: Vec<u8>) -> Response {
    json_response(StatusCode::OK, request_id, body)
}

/// The body that every AWS client reads: `__type` and `message`.
pub(super) fn error_response(request_id: &str, error: &ApiError) -> Response {
    let body = json!({"__type": error.exception(), "message": error.message()});
    let mut response = json_response(error.status(), request_id, body.to_string().into_bytes());
    if error.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

pub(super) fn text_response(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn json_response(status: StatusCode, request_id: &str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(AWS_JSON_1_1));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", request_id);
    }
    response
}
