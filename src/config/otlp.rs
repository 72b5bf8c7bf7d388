use std::path::PathBuf;

use serde::Deserialize;

use crate::trace::CallersTrace;

/// The table `[otlp]`: an OpenTelemetry collector, and what it gets. An unknown setting is an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// `http://HOST:PORT` or `https://HOST:PORT`. Default: the variable `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// The collector's CAs in PEM, for `https`. Default: the file of the variable `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    pub certificate: Option<PathBuf>,
    /// Whether it gets the spans of requests.
    #[serde(default = "yes")]
    pub traces: bool,
    /// Whether it gets audit records.
    #[serde(default)]
    pub audit_log: bool,
    /// What a caller's `traceparent` is to a request's span.
    #[serde(default)]
    pub traceparent: CallersTrace,
}

const fn yes() -> bool {
    true
}

impl Default for OtlpSettings {
    /// What the variable of the endpoint alone asks for: spans.
    fn default() -> Self {
        Self {
            endpoint: None,
            certificate: None,
            traces: true,
            audit_log: false,
            traceparent: CallersTrace::default(),
        }
    }
}
