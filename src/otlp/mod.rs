//! Spans and audit records for an OpenTelemetry collector: OTLP over HTTP in protobuf.
//!
//! No request waits for a collector. What waits for it is bounded, and what does not get there is counted.

mod client;
mod records;
mod spans;

use std::time::Duration;

use hyper::Uri;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use rustls::pki_types::CertificateDer;

pub use client::{Client, ClientError};
pub use records::OtlpAuditSink;
pub use spans::{SpanLayer, Spans};

/// What the telemetry is said to be from, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE_NAME: &str = "nitro-key-broker";
/// Longest that a collector may take for one batch, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a collector is and what it takes.
#[derive(Clone, Debug)]
pub struct Collector {
    endpoint: String,
    headers: Vec<(String, String)>,
    client: Client,
}

/// Why telemetry cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The endpoint is no URL of a collector.
    #[error("{0:?} is no endpoint of a collector: expected http://HOST:PORT or https://HOST:PORT")]
    Endpoint(String),
    /// `OTEL_EXPORTER_OTLP_HEADERS` is not a list of headers.
    #[error("OTEL_EXPORTER_OTLP_HEADERS is no list of NAME=VALUE, separated by commas")]
    Headers,
    /// TLS cannot be had.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The exporter cannot be made.
    #[error("spans cannot be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Collector {
    /// The collector at `endpoint`, without the path of a signal. Over TLS it is known by `certificates`, its CAs. `headers`
    /// is as in `OTEL_EXPORTER_OTLP_HEADERS`. To be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When one of them is not what it should be.
    pub fn new(
        endpoint: &str,
        certificates: &[CertificateDer<'static>],
        headers: &str,
    ) -> Result<Self, OtlpError> {
        let invalid = || OtlpError::Endpoint(crate::text::shorten(endpoint));
        let uri: Uri = endpoint.parse().map_err(|_| invalid())?;
        if !matches!(uri.scheme_str(), Some("http" | "https"))
            || uri.host().is_none()
            || uri.query().is_some()
        {
            return Err(invalid());
        }
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            headers: parse_headers(headers).ok_or(OtlpError::Headers)?,
            client: Client::new(certificates, TIMEOUT)?,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }
}

/// `name=value,name=value`, as in the environment. Values hold tokens: they are in no message.
fn parse_headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// What the telemetry is from, with what the standard variables add.
fn resource() -> Resource {
    let mut builder = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        builder = builder.with_service_name(SERVICE_NAME);
    }
    builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_is_a_url_without_a_query() {
        for endpoint in ["http://127.0.0.1:4318", "http://collector.example/otlp/"] {
            assert!(Collector::new(endpoint, &[], "").is_ok(), "{endpoint}");
        }
        for endpoint in
            ["", "127.0.0.1:4318", "ftp://host", "http://", "http://host/?x=1", "grpc://host:4317"]
        {
            assert!(matches!(Collector::new(endpoint, &[], ""), Err(OtlpError::Endpoint(_))), "{endpoint}");
        }
    }

    #[test]
    fn headers_are_pairs() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse_headers(""), Some(vec![]));
        assert_eq!(parse_headers("a=1, b=x=y"), Some(vec![pair("a", "1"), pair("b", "x=y")]));
        assert_eq!(parse_headers("a"), None);
    }
}
