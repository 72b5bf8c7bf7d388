//! The counters after known requests, and under hostile ones.

use std::process::Command;
use std::time::Duration;

use nitro_key_broker::time::UnixTime;
use serde_json::json;

use crate::broker::client::request;
use crate::broker::enclave::Enclave;
use crate::broker::policy_on_pcr0;
use crate::process::DataFolder;
use crate::program::{ObservedBroker, Page};
use crate::tools::{promtool, run_with_input};

#[tokio::test]
async fn counters_tell_what_happened() {
    let folder = DataFolder::init();
    let enclave = Enclave::new();
    let key = folder.create_key(&policy_on_pcr0(&enclave.pcr(0)));
    let foreign_key = folder.create_key(&policy_on_pcr0(&"7".repeat(96)));
    let broker = ObservedBroker::start(&folder);
    let mut client = broker.connect().await;
    let now = UnixTime::now();
    let recipient = enclave.recipient(now);
    let ask = |key: &str| json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": recipient});
    for _ in 0..3 {
        client.call("GenerateDataKey", &ask(&key)).await.members();
    }
    let sealed = client.call("GenerateDataKey", &ask(&key)).await.members()["CiphertextBlob"].clone();
    client.call("Decrypt", &json!({"CiphertextBlob": sealed, "Recipient": recipient})).await.members();
    assert!(client.call("GenerateDataKey", &ask(&foreign_key)).await.refusal().contains("AccessDenied"));
    let stale = enclave.recipient(now.saturating_sub(Duration::from_secs(3600)));
    let stale = json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": stale});
    assert!(client.call("GenerateDataKey", &stale).await.refusal().contains("ValidationException"));
    client.call("Shred", &json!({})).await.refusal();
    client.post("Decrypt", "{").await.refusal();

    broker.first_round().await;
    let page = broker.scrape().await;
    let requests = |operation, outcome, exception| {
        let labels = [("operation", operation), ("outcome", outcome), ("exception", exception)];
        page.sum("nitro_key_broker_requests_total", &labels)
    };
    assert_eq!(requests("GenerateDataKey", "allowed", ""), 4.0);
    assert_eq!(requests("Decrypt", "allowed", ""), 1.0);
    assert_eq!(requests("GenerateDataKey", "denied", "AccessDeniedException"), 1.0);
    assert_eq!(requests("GenerateDataKey", "denied", "ValidationException"), 1.0);
    assert_eq!(requests("other", "malformed", "UnknownOperationException"), 1.0);
    assert_eq!(requests("Decrypt", "malformed", "SerializationException"), 1.0);
    assert_eq!(page.sum("nitro_key_broker_requests_total", &[]), 9.0);
    let durations = "nitro_key_broker_request_duration_seconds_count";
    assert_eq!(page.sum(durations, &[("operation", "GenerateDataKey")]), 6.0);
    assert_eq!(page.sum("nitro_key_broker_requests_in_flight", &[]), 0.0);

    let attested = |result| page.sum("nitro_key_broker_attestations_total", &[("result", result)]);
    assert_eq!((attested("verified"), attested("freshness"), attested("signature")), (6.0, 1.0, 0.0));
    let denied =
        |refusal, side| page.sum("nitro_key_broker_denials_total", &[("refusal", refusal), ("side", side)]);
    assert_eq!((denied("not_allowed", "resource"), denied("explicit_deny", "identity")), (1.0, 0.0));
    let lookups = |cache, result| {
        page.sum("nitro_key_broker_cache_lookups_total", &[("cache", cache), ("result", result)])
    };
    assert_eq!((lookups("documents", "hit"), lookups("documents", "miss")), (5.0, 2.0));
    assert!(lookups("store", "hit") + lookups("store", "miss") >= 7.0);

    let stage = |stage| page.sum("nitro_key_broker_stage_duration_seconds_count", &[("stage", stage)]);
    assert_eq!((stage("authenticate"), stage("operation"), stage("record")), (9.0, 8.0, 9.0));
    assert_eq!((stage("verify_document"), stage("decide"), stage("envelope")), (7.0, 6.0, 5.0));
    assert_eq!((stage("unwrap_key"), stage("use_key")), (5.0, 5.0));

    assert_eq!(page.sum("nitro_key_broker_audit_records_total", &[]), 9.0);
    assert_eq!(page.sum("nitro_key_broker_audit_queue_length", &[]), 0.0);
    assert_eq!(page.sum("nitro_key_broker_audit_batch_records_sum", &[]), 9.0);
    assert_eq!(page.sum("nitro_key_broker_audit_records_failed_total", &[]), 0.0);
    assert_eq!(page.sum("nitro_key_broker_connections_accepted_total", &[("transport", "tcp")]), 1.0);
    assert_eq!(page.sum("nitro_key_broker_connections_active", &[]), 1.0);
    assert_eq!(page.sum("nitro_key_broker_connections_limit", &[]), 512.0);
    assert_eq!(page.sum("nitro_key_broker_keys", &[("state", "Enabled")]), 2.0);
    assert_eq!(page.sum("nitro_key_broker_ready", &[]), 4.0);
    assert!(page.sum("process_resident_memory_bytes", &[]) > 1e6);
    let aws = [("purpose", "trust_anchor"), ("certificate", "AWS Nitro Enclaves root G1")];
    // 2049-10-28T14:28:05Z, in certs/README.md.
    assert_eq!(page.sum("nitro_key_broker_certificate_not_after_timestamp_seconds", &aws), 2_519_044_085.0);
}

#[tokio::test]
async fn the_page_is_as_prometheus_and_openmetrics_want_it() {
    let broker = ObservedBroker::start_alone();
    broker.connect().await.call("ListKeys", &json!({})).await;
    let answer = broker.get("/metrics", "*/*").await;
    let mut check = Command::new(promtool());
    check.args(["check", "metrics"]);
    let checked = run_with_input(check, &answer.body);
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(checked.status.success() && said.is_empty(), "{said}");

    let accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5";
    let answer = broker.get("/metrics", accept).await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let page = Page::read("openmetrics", &answer.body);
    assert_eq!(page.sum("nitro_key_broker_requests_total", &[("operation", "ListKeys")]), 1.0);
}

#[tokio::test]
async fn no_caller_makes_a_label() {
    let broker = ObservedBroker::start_alone();
    let mut client = broker.connect().await;
    for round in 0..300 {
        let hostile = format!("Decrypt{round}");
        client.call(&hostile, &json!({"KeyId": hostile})).await.refusal();
        client.call("DescribeKey", &json!({"KeyId": format!("alias/{hostile}")})).await.refusal();
        let mut crafted = request("Decrypt", "{}");
        let target = format!("TrentService.\"}} {round}\\n").parse().unwrap();
        crafted.headers_mut().insert("x-amz-target", target);
        crafted.headers_mut().insert("user-agent", hostile.parse().unwrap());
        client.send(crafted).await.refusal();
    }
    let page = broker.scrape().await;
    assert_eq!(page.sum("nitro_key_broker_requests_total", &[("operation", "other")]), 600.0);
    assert_eq!(page.sum("nitro_key_broker_requests_total", &[]), 900.0);
    let requests = page.samples().iter().filter(|sample| sample.name == "nitro_key_broker_requests_total");
    assert_eq!(requests.count(), 2);
    for sample in page.samples() {
        assert!(!sample.labels.values().any(|value| value.contains("Decrypt")), "{:?}", sample.labels);
    }
    assert!(page.samples().len() < 300, "{} series", page.samples().len());
}
