use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::{Collector, resource};
use crate::audit::Outcome;
use crate::audit::chain::ChainHead;
use crate::audit::record::AuditRecord;
use crate::audit::sink::{AuditSink, ChainedRecord, SinkError};
use crate::time::UnixTime;

/// The name of every log record (OpenTelemetry logs data model, *EventName*).
const EVENT_NAME: &str = "nitro_key_broker.audit";
const PROTOBUF: &str = "application/x-protobuf";

/// Audit records as OpenTelemetry log records, each with its whole line as the body.
///
/// It counts as taken what the collector acknowledges. What a collector does with it is unknown here: not durable.
#[derive(Debug)]
pub struct OtlpAuditSink {
    collector: Collector,
    resource: Resource,
}

impl OtlpAuditSink {
    /// A sink that writes to `collector`.
    pub fn new(collector: Collector) -> Self {
        let attributes =
            resource().iter().map(|(name, value)| text(name.as_str(), value.to_string())).collect();
        Self { collector, resource: Resource { attributes, ..Resource::default() } }
    }

    fn request(&self, records: &[ChainedRecord], observed: UnixTime) -> ExportLogsServiceRequest {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let log_records = records.iter().map(|record| log_record(record, observed)).collect();
        let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
        let resource_logs =
            ResourceLogs { resource: Some(self.resource.clone()), scope_logs, ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
    }
}

impl AuditSink for OtlpAuditSink {
    fn name(&self) -> String {
        format!("otlp:{}", self.collector.endpoint)
    }

    fn write(&mut self, records: &[ChainedRecord], _: &ChainHead) -> Result<(), SinkError> {
        let body = self.request(records, UnixTime::now()).encode_to_vec();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.collector.url("/v1/logs"))
            .header(CONTENT_TYPE, PROTOBUF);
        for (name, value) in &self.collector.headers {
            request = request.header(name, value);
        }
        let request = request.body(Bytes::from(body)).map_err(SinkError::new)?;
        let answer = self.collector.client.send_blocking(request).map_err(SinkError::new)?;
        if !answer.status().is_success() {
            return Err(SinkError::new(format_args!("the collector answers {}", answer.status())));
        }
        let answer = ExportLogsServiceResponse::decode(answer.into_body()).map_err(SinkError::new)?;
        match answer.partial_success.map(|partial| partial.rejected_log_records) {
            None | Some(0) => Ok(()),
            Some(rejected) => Err(SinkError::new(format_args!("the collector refuses {rejected} records"))),
        }
    }
}

fn log_record(record: &ChainedRecord, observed: UnixTime) -> LogRecord {
    let line = String::from_utf8_lossy(&record.line);
    let mut attributes = vec![integer("audit.sequence", record.sequence)];
    let mut time = observed;
    let mut severity = SeverityNumber::Info;
    // The broker wrote it, so it can read it; what it could not read would go all the same.
    if let Ok(parsed) = AuditRecord::parse(&record.line) {
        time = parsed.time;
        severity = match parsed.outcome {
            Outcome::Allowed => SeverityNumber::Info,
            Outcome::Denied | Outcome::Malformed => SeverityNumber::Warn,
            Outcome::Failed => SeverityNumber::Error,
        };
        attributes.push(text("rpc.method", parsed.operation));
        attributes.push(text("aws.request_id", parsed.request_id));
        attributes.push(text("broker.outcome", parsed.outcome.as_str()));
        attributes.extend(parsed.error_code.map(|code| text("error.type", code)));
    }
    LogRecord {
        time_unix_nano: nanoseconds(time),
        observed_time_unix_nano: nanoseconds(observed),
        severity_number: severity.into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(line.trim_end().to_owned())) }),
        attributes,
        event_name: EVENT_NAME.to_owned(),
        ..LogRecord::default()
    }
}

fn nanoseconds(time: UnixTime) -> u64 {
    u64::try_from(Duration::from_millis(time.as_ms()).as_nanos()).unwrap_or(u64::MAX)
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

fn integer(key: &str, value: u64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
