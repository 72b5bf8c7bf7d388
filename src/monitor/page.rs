use std::fmt;

use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use prometheus_client::encoding::{prometheus_text, text as openmetrics};
use prometheus_client::registry::Registry;
use serde_json::Value;

use crate::server::{ReceivedRequest, Response};

/// The media type of OpenMetrics, and as it is answered.
const OPENMETRICS: &str = "application/openmetrics-text";
const OPENMETRICS_1_0: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The counters of a registry over HTTP.
#[derive(Debug)]
pub struct Page(Registry);

impl Page {
    /// Shows what `registry` holds, as it is when asked.
    pub fn new(registry: Registry) -> Self {
        Self(registry)
    }

    /// The counters in the format that the request accepts: that of OpenMetrics when it names it, else that of Prometheus,
    /// version 0.0.4.
    pub fn answer(&self, request: &ReceivedRequest) -> Response {
        let accept = request.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (content_type, written) = if accept.contains(OPENMETRICS) {
            let mut text = String::new();
            (OPENMETRICS_1_0, openmetrics::encode(&mut text, &self.0).map(|()| text))
        } else {
            (prometheus_text::CONTENT_TYPE, self.to_text())
        };
        match written {
            Ok(text) => get(request, StatusCode::OK, content_type, text),
            Err(fmt::Error) => get(request, StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()),
        }
    }

    /// The counters in the text format of Prometheus.
    ///
    /// # Errors
    /// When a counter cannot be written, which none does.
    pub fn to_text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

pub(super) fn text(request: &ReceivedRequest, status: StatusCode, text: String) -> Response {
    get(request, status, "text/plain; charset=utf-8", text)
}

pub(super) fn json(request: &ReceivedRequest, status: StatusCode, value: Value) -> Response {
    get(request, status, "application/json", format!("{value}\n"))
}

/// The answer where there is nothing.
pub fn not_found() -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// `body` for who asks with GET or HEAD.
fn get(request: &ReceivedRequest, status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Bytes::new());
    if request.method == Method::GET || request.method == Method::HEAD {
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        *response.body_mut() = body.into();
    } else {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
