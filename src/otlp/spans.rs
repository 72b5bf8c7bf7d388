use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::{Collector, OtlpError, resource};
use crate::metrics::ExportMetrics;
use crate::trace::TARGET;

/// The value of the label `signal`.
const SIGNAL: &str = "spans";
/// Spans that wait for the collector at most: some hundred requests, in about 4 MiB.
const MAX_WAITING: usize = 4096;
/// Spans that go to the collector at once.
const MAX_BATCH: usize = 512;
/// Longest that a span waits for others.
const GATHERING_TIME: Duration = Duration::from_secs(2);
/// Longest that the end of the broker waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The layer that takes spans from the program.
pub type SpanLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// The way of spans to a collector.
#[derive(Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    exporting: JoinHandle<()>,
}

impl Spans {
    /// Begins to export; what is given to the layer goes to `collector`. The variables `OTEL_TRACES_SAMPLER`,
    /// `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` are respected. To be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub fn start(collector: &Collector, metrics: ExportMetrics) -> Result<Self, OtlpError> {
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(collector.url("/v1/traces"))
            .with_headers(collector.headers.iter().cloned().collect())
            .with_http_client(collector.client.clone())
            .build()?;
        let resource = resource();
        exporter.set_resource(&resource);
        metrics.announce(SIGNAL);
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let exporting = tokio::spawn(export(exporter, receiver, metrics.clone()));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(Queue { sender, metrics })
            .build();
        Ok(Self { provider, exporting })
    }

    /// What takes the spans of requests, and of nothing else.
    pub fn layer<S>(&self) -> SpanLayer<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let tracer = self.provider.tracer(env!("CARGO_PKG_NAME"));
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.target() == TARGET))
            .boxed()
    }

    /// Gives the collector what waits, within a bounded time. Spans that end later are let go.
    pub async fn stop(self) {
        let _ = self.provider.shutdown();
        if tokio::time::timeout(LAST_WORDS, self.exporting).await.is_err() {
            tracing::warn!("the collector of telemetry did not take the last spans");
        }
    }
}

/// What has ended, on its way to the task that exports.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<Option<SpanData>>,
    metrics: ExportMetrics,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.sender.try_send(Some(span)).is_err() {
            self.metrics.queue_was_full(SIGNAL);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        // The word that ends the task; when the queue is full, it is told by its end.
        let _ = self.sender.try_send(None);
        Ok(())
    }
}

async fn export(
    exporter: SpanExporter,
    mut receiver: mpsc::Receiver<Option<SpanData>>,
    metrics: ExportMetrics,
) {
    let mut is_over = false;
    let mut was_well = true;
    while !is_over {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let gathering = async {
            while batch.len() < MAX_BATCH {
                match receiver.recv().await {
                    Some(Some(span)) => batch.push(span),
                    Some(None) | None => return true,
                }
            }
            false
        };
        is_over = tokio::time::timeout(GATHERING_TIME, gathering).await.unwrap_or(false);
        if batch.is_empty() {
            continue;
        }
        let spans = batch.len();
        match exporter.export(batch).await {
            Ok(()) => {
                was_well = true;
                metrics.exported(SIGNAL, spans);
            }
            Err(error) => {
                metrics.export_failed(SIGNAL, spans);
                if was_well {
                    tracing::warn!(%error, spans, "the collector of telemetry takes no spans");
                }
                was_well = false;
            }
        }
    }
}
