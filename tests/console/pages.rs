//! Every page with real data, as people see and operate it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::script::{self, Script, run};
use crate::stage::{PARENT, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_what_was_served_and_is_accessible_in_light_and_dark() {
    let mut stage = Stage::set().await;
    stage.serve_a_day().await;
    let facts = json!({
        "pcr0": stage.enclave.pcr(0),
        "otherPcr0": stage.other_enclave.pcr(0),
        "moduleId": stage.enclave.module_id(),
        "payments": stage.payments.id.to_string(),
        "trial": stage.open.id.to_string(),
        "principal": PARENT,
        "document": STANDARD.encode(stage.document_with(b"ticket 4711")),
        "records": stage.broker.audit_records().len(),
    });
    run(&stage, "pages", &facts);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        script::update_docs();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_decisions_appear_without_a_reload() {
    let mut stage = Stage::set().await;
    stage.serve_one(true).await;
    let mut script = Script::start(&stage, "live", &json!({"otherPcr0": stage.other_enclave.pcr(0)}));
    script.ready();
    stage.serve_one(false).await;
    script.ready();
    stage.serve_one(true).await;
    script.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_by_the_keyboard_and_works_without_scripts() {
    let mut stage = Stage::set().await;
    stage.serve_one(true).await;
    let document = STANDARD.encode(stage.document_with(b"by keyboard"));
    run(&stage, "keyboard", &json!({"document": document}));
}
