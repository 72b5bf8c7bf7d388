//! Answers, each with the headers that keep a page to itself.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use maud::Markup;

use crate::crypto::sha256;
use crate::server::Response;

/// Nothing but what the console itself serves: no inline script or style, no frame around it, no form that goes
/// elsewhere. What an attacker gets into a page cannot run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; \
     trusted-types console";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 9] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (VARY, "Cookie"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// A year, as browsers' own lists ask for.
const TRANSPORT_SECURITY: &str = "max-age=31536000";

const HTML: &str = "text/html; charset=utf-8";

/// A whole page.
pub(super) fn page(status: StatusCode, markup: Markup) -> Response {
    with_body(status, HTML, markup.into_string().into())
}

/// The state that a part of a page shows, as an entity tag.
pub(super) struct Version(String);

impl Version {
    /// Of everything that the part is made from.
    pub(super) fn of(made_from: &[&[u8]]) -> Self {
        Self(format!("\"{}\"", hex::encode(sha256(made_from))))
    }
}

/// 304 where the browser has this version of the part; it need not be made.
pub(super) fn unchanged(headers: &HeaderMap, version: &Version) -> Option<Response> {
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == version.0.as_bytes());
    is_known.then(|| tagged(with_body(StatusCode::NOT_MODIFIED, HTML, Bytes::new()), version))
}

/// A part of a page that is there already.
pub(super) fn fragment(version: &Version, markup: Markup) -> Response {
    tagged(with_body(StatusCode::OK, HTML, markup.into_string().into()), version)
}

fn tagged(mut response: Response, version: &Version) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&version.0) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// One of the console's own files.
pub(super) fn asset(media_type: &'static str, content: &'static str) -> Response {
    with_body(StatusCode::OK, media_type, Bytes::from_static(content.as_bytes()))
}

/// To another page, to be fetched by GET.
pub(super) fn see_other(location: &'static str) -> Response {
    let mut response = with_body(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Bytes::new());
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(location));
    response
}

/// What the method should have been.
pub(super) fn allow(mut response: Response, methods: &'static str) -> Response {
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// An answer without a page.
pub(super) fn text(status: StatusCode, text: String) -> Response {
    with_body(status, "text/plain; charset=utf-8", text.into())
}

/// Tells the browser to come under TLS from now on.
pub(super) fn insist_on_tls(response: &mut Response) {
    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT_SECURITY));
}

fn with_body(status: StatusCode, media_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
