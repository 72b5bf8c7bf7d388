//! What a key was last used for, told at once and kept.

use std::time::Duration;

use serde_json::{Value, json};

use super::Stage;
use crate::broker::NOW;

impl Stage {
    async fn last_usage(&mut self) -> Value {
        let key = json!({"KeyId": self.key.arn});
        self.client.call("GetKeyLastUsage", &key).await.members()
    }
}

#[tokio::test]
async fn the_last_success_is_told_and_kept() {
    let mut stage = Stage::set().await;
    let unused = json!({
        "KeyId": stage.key.arn, "KeyLastUsage": {},
        "TrackingStartDate": 1_767_472_867.0, "KeyCreationDate": 1_767_472_867.0,
    });
    assert_eq!(stage.last_usage().await, unused);

    let (blob, _) = stage.sealed(json!({})).await;
    stage.broker.set_clock(NOW.saturating_add(Duration::from_secs(60)));
    let answer = stage.decrypt(&blob, json!({})).await;
    let request_id = answer.request_id().to_owned();
    answer.members();
    let event_id = stage.broker.audit_record(&request_id)["eventID"].clone();
    let used = json!({
        "Operation": "Decrypt", "Timestamp": 1_767_472_927.0, "CloudTrailEventId": event_id,
        "KmsRequestId": request_id,
    });
    assert_eq!(stage.last_usage().await["KeyLastUsage"], used);

    // Neither a refusal, a dry run nor what uses no material counts; being told of it changes nothing.
    stage.broker.set_clock(NOW.saturating_add(Duration::from_secs(120)));
    stage.decrypt(&blob, json!({"EncryptionContext": {"a": "b"}})).await.refusal();
    stage.decrypt(&blob, json!({"DryRun": true})).await.refusal();
    stage.client.call("DescribeKey", &json!({"KeyId": stage.key.arn})).await.members();
    stage.broker.keep_house().await;
    assert_eq!(stage.last_usage().await["KeyLastUsage"], used);
    stage.broker.keep_house().await;
    assert_eq!(stage.last_usage().await["KeyLastUsage"], used);

    let other = stage.broker.create_key(&crate::broker::open_policy()).await;
    let members = json!({"CiphertextBlob": blob, "DestinationKeyId": other.arn});
    stage.client.call("ReEncrypt", &members).await.members();
    for arn in [&stage.key.arn, &other.arn] {
        let usage = stage.client.call("GetKeyLastUsage", &json!({"KeyId": arn})).await.members();
        assert_eq!(usage["KeyLastUsage"]["Operation"], "ReEncrypt");
    }
}
