//! Who gets in, and who does not.

use std::time::Duration;

use nitro_key_broker::store::{OperatorName, OperatorStore};
use serde_json::json;

use crate::script::{Script, run};
use crate::stage::{OPERATOR, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn operators_sign_in_and_out_and_others_do_not() {
    let stage = Stage::set().await;
    run(&stage, "sign_in", &json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_idle_or_its_operator_is_removed() {
    let stage = Stage::set().await;
    let mut script = Script::start(&stage, "session", &json!({}));
    script.ready();
    let later = stage.broker.now().saturating_add(Duration::from_secs(31 * 60));
    stage.set_console_clock(later);
    script.ready();
    assert!(stage.broker.store().delete_operator(&OperatorName::parse(OPERATOR).unwrap()).await.unwrap());
    script.finish();
}
