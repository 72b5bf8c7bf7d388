use super::error::CliError;
use super::logging::SpanLayer;
use crate::audit::sink::AuditSink;
use crate::config::{Config, OtlpSettings};
use crate::metrics::ExportMetrics;
use crate::trace::CallersTrace;

#[cfg(feature = "otlp")]
use {
    crate::otlp::{Collector, OtlpAuditSink, Spans},
    crate::server::tls::read_certificates,
    std::path::PathBuf,
};

/// The variables of the OpenTelemetry specification (*OTLP exporter configuration*).
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
#[cfg(feature = "otlp")]
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
#[cfg(feature = "otlp")]
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// What goes to an OpenTelemetry collector, where one is configured.
pub(super) struct Telemetry {
    settings: Option<OtlpSettings>,
    metrics: ExportMetrics,
    #[cfg(feature = "otlp")]
    collector: Option<Collector>,
    #[cfg(feature = "otlp")]
    spans: Option<Spans>,
}

impl Telemetry {
    pub(super) fn start(config: &Config) -> Result<Self, CliError> {
        let by_variable = || std::env::var_os(ENDPOINT).map(|_| OtlpSettings::default());
        let settings = config.otlp.clone().or_else(by_variable);
        let metrics = ExportMetrics::default();
        #[cfg(not(feature = "otlp"))]
        {
            if config.otlp.is_some() {
                return Err(CliError::usage(
                    "[otlp] is set, and this program was built without the feature otlp",
                ));
            }
            Ok(Self { settings: settings.filter(|_| false), metrics })
        }
        #[cfg(feature = "otlp")]
        {
            let collector = settings.as_ref().map(collector).transpose()?;
            let spans = match (&settings, &collector) {
                (Some(OtlpSettings { traces: true, .. }), Some(collector)) => {
                    Some(Spans::start(collector, metrics.clone()).map_err(CliError::failed)?)
                }
                _ => None,
            };
            Ok(Self { settings, metrics, collector, spans })
        }
    }

    /// What takes spans from the program.
    pub(super) fn layer(&self) -> Option<SpanLayer> {
        #[cfg(feature = "otlp")]
        return self.spans.as_ref().map(Spans::layer);
        #[cfg(not(feature = "otlp"))]
        None
    }

    /// What a caller's `traceparent` is to a request's span.
    pub(super) fn callers_trace(&self) -> CallersTrace {
        self.settings.as_ref().map(|settings| settings.traceparent).unwrap_or_default()
    }

    /// What is counted of it.
    pub(super) fn metrics(&self) -> &ExportMetrics {
        &self.metrics
    }

    /// Lets the collector have the last spans.
    pub(super) async fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = self.spans {
            spans.stop().await;
        }
    }
}

#[cfg(feature = "otlp")]
impl Telemetry {
    /// The sink by which the collector gets audit records, where it is to get them.
    pub(super) fn audit_sink(&self) -> Option<Box<dyn AuditSink>> {
        let wanted = self.settings.as_ref().is_some_and(|settings| settings.audit_log);
        let collector = self.collector.as_ref().filter(|_| wanted)?;
        Some(Box::new(OtlpAuditSink::new(collector.clone())))
    }
}

#[cfg(not(feature = "otlp"))]
impl Telemetry {
    /// As with the feature, where there is none.
    pub(super) fn audit_sink(&self) -> Option<Box<dyn AuditSink>> {
        None
    }
}

#[cfg(feature = "otlp")]
fn collector(settings: &OtlpSettings) -> Result<Collector, CliError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = settings.endpoint.clone().or_else(|| variable(ENDPOINT)).ok_or_else(|| {
        CliError::usage("[otlp] names no collector").hint(format!("set its endpoint there, or {ENDPOINT}"))
    })?;
    let file = settings.certificate.clone().or_else(|| variable(CERTIFICATE).map(PathBuf::from));
    let certificates = match &file {
        Some(file) => read_certificates(file).map_err(CliError::failed)?,
        None => Vec::new(),
    };
    let headers = variable(HEADERS).unwrap_or_default();
    Collector::new(&endpoint, &certificates, &headers).map_err(CliError::failed)
}
