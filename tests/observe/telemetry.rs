//! Spans and audit records, as an OpenTelemetry collector gets them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};

use crate::broker::client::request;
use crate::broker::enclave::Enclave;
use crate::broker::policy_on_pcr0;
use crate::process::{DataFolder, PROGRAM};
use crate::program::ObservedBroker;
use crate::tools::python;

const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn a_request_is_a_tree_of_its_stages() {
    let collector = Collector::start(200);
    let (folder, enclave) = (DataFolder::init(), Enclave::new());
    let key = folder.create_key(&policy_on_pcr0(&enclave.pcr(0)));
    let broker = collector.broker(&folder, &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer token")]);
    let document = enclave.document(UnixTime::now());
    let recipient = crate::broker::enclave::recipient(&document);
    let ask = json!({
        "KeyId": key, "KeySpec": "AES_256", "Recipient": recipient,
        "EncryptionContext": {"tenant": "a secret of the caller's"},
    });
    let answer = broker.connect().await.call("GenerateDataKey", &ask).await;
    let plaintext = enclave.open(&answer.members());

    let trace = collector.trace_of(answer.request_id());
    let root = &trace["KMS/GenerateDataKey"];
    assert_eq!((root.kind.as_str(), root.parent.as_str()), ("SPAN_KIND_SERVER", ""));
    for (attribute, value) in [
        ("rpc.system", "aws-api"),
        ("rpc.service", "KMS"),
        ("rpc.method", "GenerateDataKey"),
        ("client.address", "127.0.0.1"),
        ("server.address", "127.0.0.1"),
        ("server.port", &broker.address().port().to_string()),
        ("network.transport", "tcp"),
        ("http.response.status_code", "200"),
        ("broker.outcome", "allowed"),
    ] {
        assert_eq!(root.attributes[attribute], value, "{attribute}");
    }
    let operation = &trace["operation"];
    for stage in ["authenticate", "operation", "record"] {
        assert_eq!(trace[stage].parent, root.id, "{stage}");
    }
    for stage in ["find_key", "verify_document", "decide", "unwrap_key", "use_key", "envelope"] {
        assert_eq!(trace[stage].parent, operation.id, "{stage}");
    }
    assert_eq!(trace.len(), 10, "{:?}", trace.keys());
    assert!(trace.values().all(|span| !span.attributes.contains_key("error.type")));

    let said = collector.said();
    assert!(said.contains("Bearer token"), "the variable's header is not there");
    let secrets = [
        "a secret of the caller's".to_owned(),
        STANDARD.encode(&document),
        STANDARD.encode(&plaintext),
        hex::encode(&plaintext),
        enclave.module_id(),
        key,
    ];
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} is in a span");
    }
}

#[tokio::test]
async fn a_refusal_says_where_it_came_from() {
    let collector = Collector::start(200);
    let (folder, enclave) = (DataFolder::init(), Enclave::new());
    let key = folder.create_key(&policy_on_pcr0(&"7".repeat(96)));
    let broker = collector.broker(&folder, &[]);
    let ask = json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": enclave.recipient(UnixTime::now())});
    let mut client = broker.connect().await;
    let answer = client.call("GenerateDataKey", &ask).await;
    let trace = collector.trace_of(answer.request_id());
    let error = |span: &str| trace[span].attributes.get("error.type").map(String::as_str);
    assert_eq!(error("KMS/GenerateDataKey"), Some("AccessDeniedException"));
    assert_eq!((error("decide"), error("verify_document")), (Some("not_allowed"), None));
    assert_eq!((trace["KMS/GenerateDataKey"].is_error, trace["decide"].is_error), (false, true));

    // What is no operation gives no name to a span.
    let answer = client.call("Shred<script>", &json!({})).await;
    let trace = collector.trace_of(answer.request_id());
    assert_eq!(trace["KMS/_OTHER"].attributes["rpc.method"], "_OTHER");
    assert!(!collector.said().contains("Shred"));
}

#[tokio::test]
async fn a_callers_trace_is_believed_as_far_as_configured() {
    for (setting, is_parent, is_linked) in
        [("ignore", false, false), ("link", false, true), ("parent", true, false)]
    {
        let collector = Collector::start(200);
        let folder = DataFolder::init();
        let settings = format!("[otlp]\ntraceparent = '{setting}'\n");
        std::fs::write(folder.path().join("broker.toml"), settings).unwrap();
        let broker = collector.broker(&folder, &[]);
        let mut asked = request("ListKeys", "{}");
        let traceparent = format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-01").parse().unwrap();
        asked.headers_mut().insert("traceparent", traceparent);
        let answer = broker.connect().await.send(asked).await;
        let trace = collector.trace_of(answer.request_id());
        let root = &trace["KMS/ListKeys"];
        assert_eq!(root.trace == CALLERS_TRACE && root.parent == CALLERS_SPAN, is_parent, "{setting}");
        assert_eq!(
            root.links == [(CALLERS_TRACE.to_owned(), CALLERS_SPAN.to_owned())],
            is_linked,
            "{setting}"
        );
        assert!(trace.values().all(|span| span.trace == root.trace));
    }
}

#[tokio::test]
async fn audit_records_come_whole_and_in_order() {
    let collector = Collector::start(200);
    let folder = DataFolder::init();
    std::fs::write(folder.path().join("broker.toml"), "[otlp]\ntraces = false\naudit_log = true\n").unwrap();
    let broker = collector.broker(&folder, &[]);
    let mut client = broker.connect().await;
    for _ in 0..5 {
        client.call("ListKeys", &json!({})).await;
    }
    client.call("Shred", &json!({})).await;
    let records = collector.wait_for("/v1/logs", |messages| {
        let records: Vec<Value> = messages.iter().flat_map(log_records).collect();
        (records.len() >= 6).then_some(records)
    });
    let written = std::fs::read_to_string(folder.audit_log()).unwrap();
    let bodies: Vec<&str> =
        records.iter().map(|record| record["body"]["stringValue"].as_str().unwrap()).collect();
    assert_eq!(bodies, written.lines().collect::<Vec<_>>());
    let last = &records[5];
    assert_eq!(
        (&last["severityNumber"], &last["eventName"]),
        (&json!("SEVERITY_NUMBER_WARN"), &json!("nitro_key_broker.audit"))
    );
    let attributes = attributes_of(last);
    assert_eq!((&*attributes["audit.sequence"], &*attributes["broker.outcome"]), ("5", "malformed"));
    assert_eq!(attributes["error.type"], "UnknownOperationException");
    let sink = format!("otlp:http://127.0.0.1:{}", collector.port);
    let taken = [("sink", sink.as_str()), ("result", "taken")];
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(broker.scrape().await.sum("nitro_key_broker_audit_sink_records_total", &taken), 6.0);
}

#[tokio::test]
async fn under_tls_a_collector_is_known_by_its_ca() {
    let (folder, theirs, other) = (DataFolder::init(), tls_identity(), tls_identity());
    let collector = Collector::start_under_tls(theirs.path());
    for (identity, is_known) in [(&theirs, true), (&other, false)] {
        let ca = identity.path().join("tls/ca.pem");
        let settings = format!(
            "[otlp]\nendpoint = 'https://127.0.0.1:{}'\ncertificate = '{}'\n",
            collector.port,
            ca.display()
        );
        std::fs::write(folder.path().join("broker.toml"), settings).unwrap();
        let broker = ObservedBroker::start(&folder);
        let answer = broker.connect().await.call("ListKeys", &json!({})).await;
        if is_known {
            assert!(collector.trace_of(answer.request_id()).contains_key("KMS/ListKeys"));
        } else {
            let dropped = [("reason", "export_failed")];
            let until = Instant::now() + Duration::from_secs(20);
            while broker.scrape().await.sum("nitro_key_broker_otlp_items_dropped_total", &dropped) < 4.0 {
                assert!(Instant::now() < until, "no span is told to be dropped");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

/// A data directory with a TLS identity.
fn tls_identity() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new(PROGRAM).arg("--data-dir").arg(directory.path()).args(["init", "--tls"]).output();
    assert!(made.unwrap().status.success());
    directory
}

#[tokio::test]
async fn a_collector_that_fails_holds_nobody_up_and_is_counted() {
    let collector = Collector::start(503);
    let folder = DataFolder::init();
    std::fs::write(folder.path().join("broker.toml"), "[otlp]\naudit_log = true\n").unwrap();
    let broker = collector.broker(&folder, &[]);
    let mut client = broker.connect().await;
    for _ in 0..20 {
        client.call("ListKeys", &json!({})).await.request_id();
    }
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let page = broker.scrape().await;
        let dropped = [("signal", "spans"), ("reason", "export_failed")];
        let spans = page.sum("nitro_key_broker_otlp_items_dropped_total", &dropped);
        let records = page.sum("nitro_key_broker_audit_sink_records_total", &[("result", "lost")]);
        if spans >= 60.0 && records >= 20.0 {
            break;
        }
        assert!(Instant::now() < until, "{spans} spans and {records} records are told to be lost");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The stand-in, ended when dropped.
struct Collector {
    child: Child,
    port: u16,
    lines: Receiver<Value>,
    messages: std::cell::RefCell<Vec<Value>>,
}

#[derive(Debug)]
struct ExportedSpan {
    id: String,
    trace: String,
    parent: String,
    kind: String,
    is_error: bool,
    attributes: BTreeMap<String, String>,
    links: Vec<(String, String)>,
}

impl Collector {
    fn start(status: u16) -> Self {
        Self::start_with(status, &[])
    }

    /// Over TLS with the identity that `init --tls` made in this data directory.
    fn start_under_tls(directory: &Path) -> Self {
        Self::start_with(200, &[&directory.join("tls/server.pem"), &directory.join("tls/server.key")])
    }

    fn start_with(status: u16, identity: &[&Path]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/observe/collector.py");
        let mut command = Command::new(python());
        let mut child = command
            .arg(script)
            .arg(status.to_string())
            .args(identity)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = output.next().unwrap().unwrap().parse().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port, lines, messages: Vec::new().into() }
    }

    fn broker(&self, folder: &DataFolder, variables: &[(&str, &str)]) -> ObservedBroker {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
        ObservedBroker::start_with(folder, &[], &[&endpoint, variables].concat())
    }

    /// Waits until `find` finds something in the messages to `path`.
    fn wait_for<T>(&self, path: &str, find: impl Fn(&[Value]) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let mut messages = self.messages.borrow_mut();
            messages.extend(self.lines.try_iter());
            let to_path: Vec<Value> =
                messages.iter().filter(|message| message["path"] == path).cloned().collect();
            if let Some(found) = find(&to_path) {
                return found;
            }
            assert!(Instant::now() < until, "not in {messages:?}");
            drop(messages);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The spans of the request with this id, by their names.
    fn trace_of(&self, request_id: &str) -> BTreeMap<String, ExportedSpan> {
        self.wait_for("/v1/traces", |messages| {
            let spans: Vec<(String, ExportedSpan)> = messages.iter().flat_map(spans).collect();
            let is_asked = |span: &ExportedSpan| {
                span.attributes.get("aws.request_id").is_some_and(|id| id == request_id)
            };
            // The root ends last.
            let trace = spans.iter().find(|(_, span)| is_asked(span))?.1.trace.clone();
            Some(spans.into_iter().filter(|(_, span)| span.trace == trace).collect())
        })
    }

    fn said(&self) -> String {
        serde_json::to_string(&*self.messages.borrow()).unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spans(message: &Value) -> Vec<(String, ExportedSpan)> {
    items(&message["message"]["resourceSpans"])
        .flat_map(|resource| {
            let service = attributes_of(&resource["resource"]);
            assert_eq!(service["service.name"], "nitro-key-broker");
            items(&resource["scopeSpans"]).flat_map(|scope| items(&scope["spans"]))
        })
        .map(|span| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let id = |value: &Value| hex::encode(STANDARD.decode(text(value)).unwrap());
            let links =
                items(&span["links"]).map(|link| (id(&link["traceId"]), id(&link["spanId"]))).collect();
            let exported = ExportedSpan {
                id: id(&span["spanId"]),
                trace: id(&span["traceId"]),
                parent: id(&span["parentSpanId"]),
                kind: text(&span["kind"]),
                is_error: span["status"]["code"] == "STATUS_CODE_ERROR",
                attributes: attributes_of(span),
                links,
            };
            (text(&span["name"]), exported)
        })
        .collect()
}

fn log_records(message: &Value) -> Vec<Value> {
    items(&message["message"]["resourceLogs"])
        .flat_map(|resource| items(&resource["scopeLogs"]).flat_map(|scope| items(&scope["logRecords"])))
        .cloned()
        .collect()
}

fn attributes_of(value: &Value) -> BTreeMap<String, String> {
    items(&value["attributes"])
        .map(|pair| {
            let value = pair["value"].as_object().unwrap().values().next().unwrap();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (pair["key"].as_str().unwrap().to_owned(), text)
        })
        .collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}
