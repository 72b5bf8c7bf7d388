use std::fmt::Result as FmtResult;

use clap::ValueEnum;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::{self, JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::error::CliError;
use crate::trace::TARGET;

/// The variable that selects what is logged, in the syntax of tracing-subscriber's `EnvFilter`.
const FILTER_VARIABLE: &str = "NITRO_KEY_BROKER_LOG";

/// What takes the spans of requests.
pub(super) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs to standard error from now on. When evidence may lead to other roots than that of AWS, every line says so.
///
/// The spans of requests go to `spans` alone: the log would carry their attributes in every line.
pub(super) fn start(
    log_format: LogFormat,
    configured_trust_anchors: &[String],
    spans: Option<SpanLayer>,
) -> Result<(), CliError> {
    let filter = EnvFilter::builder().with_env_var(FILTER_VARIABLE).try_from_env().or_else(|error| {
        match std::env::var_os(FILTER_VARIABLE) {
            None => Ok(EnvFilter::new("info")),
            Some(_) => Err(CliError::usage(format!("{FILTER_VARIABLE}: {error}"))),
        }
    })?;
    // A layer that is not there would count as one that takes every span.
    match spans {
        None => tracing_subscriber::registry()
            .with(log_layer::<Registry>(log_format, configured_trust_anchors, filter)?)
            .try_init(),
        Some(spans) => tracing_subscriber::registry()
            .with(spans)
            .with(log_layer::<WithSpans>(log_format, configured_trust_anchors, filter)?)
            .try_init(),
    }
    .map_err(CliError::failed)
}

type WithSpans = Layered<SpanLayer, Registry>;
type LogLayer<S> = Box<dyn Layer<S> + Send + Sync>;

fn log_layer<S: Subscriber + for<'a> LookupSpan<'a>>(
    log_format: LogFormat,
    configured_trust_anchors: &[String],
    filter: EnvFilter,
) -> Result<LogLayer<S>, CliError> {
    let log = fmt::layer().with_writer(std::io::stderr);
    let filter = filter.and(filter_fn(is_for_the_log));
    match log_format {
        LogFormat::Text => {
            let suffix = if configured_trust_anchors.is_empty() {
                String::new()
            } else {
                format!(" trusting={configured_trust_anchors:?}")
            };
            let format = format::format().with_target(false).with_ansi(false);
            Ok(log
                .event_format(Marked { inner: format, mark: Mark::Behind(suffix) })
                .with_filter(filter)
                .boxed())
        }
        LogFormat::Json => {
            let member = if configured_trust_anchors.is_empty() {
                String::new()
            } else {
                let list = serde_json::to_string(configured_trust_anchors).map_err(CliError::failed)?;
                format!(",\"trusting\":{list}")
            };
            let format = format::format().json();
            let marked = Marked { inner: format, mark: Mark::AsLastMember(member) };
            Ok(log.fmt_fields(JsonFields::new()).event_format(marked).with_filter(filter).boxed())
        }
    }
}

/// Whatever is no span of a request's stage: without an exporter those are then nobody's, and cost nothing.
fn is_for_the_log(metadata: &Metadata<'_>) -> bool {
    metadata.target() != TARGET
}

/// Writes each event as `inner` does, with a mark in its line.
struct Marked<F> {
    inner: F,
    mark: Mark,
}

enum Mark {
    Behind(String),
    AsLastMember(String),
}

impl<S, N, F> FormatEvent<S, N> for Marked<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> FmtResult {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end_matches('\n');
        match &self.mark {
            Mark::Behind(suffix) => writeln!(writer, "{line}{suffix}"),
            Mark::AsLastMember(member) => match line.strip_suffix('}') {
                Some(open) => writeln!(writer, "{open}{member}}}"),
                None => writeln!(writer, "{line}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_nobodys_without_an_exporter() {
        let started = start(LogFormat::Text, &[], None);
        assert!(started.is_ok());
        assert!(tracing::info_span!(target: TARGET, "stage").is_disabled());
        assert!(!tracing::info_span!("another").is_disabled());
    }
}
