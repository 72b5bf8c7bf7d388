//! Probes: alive, ready, and which part is in the way.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use nitro_key_broker::monitor::{Checked, Health};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::broker::{Setup, TestBroker};
use crate::process::{DataFolder, PROGRAM};
use crate::program::ObservedBroker;

#[tokio::test]
async fn a_broker_that_works_is_alive_and_ready() {
    let broker = ObservedBroker::start_alone();
    let alive = broker.get("/livez", "*/*").await;
    assert_eq!((alive.status, &*alive.body), (200, &b"alive\n"[..]));
    let ready = broker.get("/readyz", "*/*").await;
    assert_eq!((ready.status, ready.header("content-type")), (200, "application/json"));
    let parts = json!({"store": "ok", "root_key": "ok", "audit_log": "ok", "serving": "ok"});
    assert_eq!(ready.json(), json!({"ready": true, "parts": parts}));
    assert_eq!(broker.get("/", "*/*").await.status, 404);
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let broker = ObservedBroker::start_alone();
    for path in ["/metrics", "/livez", "/readyz"] {
        let request = Request::delete(path).header("host", "monitor").body(Default::default()).unwrap();
        let refused = broker.monitor().await.send(request).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"), "{path}");
    }
}

#[tokio::test]
async fn a_broker_that_drains_is_alive_and_not_ready() {
    let broker = ObservedBroker::start_alone();
    // A request whose body is under way keeps the broker from ending.
    let mut pending = TcpStream::connect(broker.address()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    pending.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    pending.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");

    broker.signal(rustix::process::Signal::TERM);
    let draining = loop {
        let probe = broker.get("/readyz", "*/*").await;
        if probe.status != 200 {
            break probe;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let parts = json!({"store": "ok", "root_key": "ok", "audit_log": "ok", "serving": "failing"});
    assert_eq!((draining.status, draining.json()), (503, json!({"ready": false, "parts": parts})));
    assert_eq!(broker.get("/livez", "*/*").await.status, 200);
    pending.write_all(b"{}").await.unwrap();
    assert!(broker.wait().contains("drained and stopped"));
}

#[tokio::test]
async fn a_full_disk_is_told_by_the_audit_log() {
    let broker =
        TestBroker::start_with(Setup { audit_path: Some("/dev/full".into()), ..Setup::default() }).await;
    assert_eq!(readiness(&broker).await["ready"], true);
    broker.connect().await.call("ListKeys", &json!({})).await;
    let failing = readiness(&broker).await;
    let parts = json!({"store": "ok", "root_key": "ok", "audit_log": "failing", "serving": "ok"});
    assert_eq!(failing, json!({"ready": false, "parts": parts}));
}

#[tokio::test]
async fn a_store_that_fails_is_told() {
    let broker = TestBroker::start().await;
    broker.database().await.execute("DELETE FROM realm").await;
    let parts = &readiness(&broker).await["parts"];
    assert_eq!((&parts["store"], &parts["audit_log"]), (&json!("failing"), &json!("ok")));
}

#[tokio::test]
async fn another_root_key_is_told() {
    let broker = TestBroker::start().await;
    broker.database().await.execute("UPDATE realm SET root_key_check = zeroblob(29)").await;
    let parts = &readiness(&broker).await["parts"];
    assert_eq!((&parts["store"], &parts["root_key"]), (&json!("ok"), &json!("failing")));
}

#[test]
fn counters_leave_the_host_under_tls_only() {
    let folder = DataFolder::init();
    let arguments = ["serve", "--listen", "http://127.0.0.1:0", "--metrics", "http://0.0.0.0:0"];
    let started = Command::new(PROGRAM)
        .arg("--data-dir")
        .arg(folder.path())
        .args(arguments)
        .arg("--allow-plain-non-loopback")
        .output()
        .unwrap();
    let said = String::from_utf8(started.stderr).unwrap();
    assert_eq!(started.status.code(), Some(1), "{said}");
    assert!(said.contains("0.0.0.0:0 can be reached from other hosts and has no TLS"), "{said}");
}

async fn readiness(broker: &TestBroker) -> Value {
    let checked = Arc::clone(broker.api()) as Arc<dyn Checked>;
    Health::new(checked).readiness().await.to_json()
}
