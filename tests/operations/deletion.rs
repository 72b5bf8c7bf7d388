//! A key's end: out of use at once, spared until its window has passed, and then gone.

use std::time::Duration;

use nitro_key_broker::time::UnixTime;
use serde_json::json;

use super::{Stage, names};
use crate::broker::NOW;

fn after_days(days: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(days * 86_400))
}

#[tokio::test]
async fn a_scheduled_key_is_out_of_use_and_can_be_spared() {
    let mut stage = Stage::set().await;
    let (blob, data_key) = stage.sealed(json!({})).await;
    let key = json!({"KeyId": stage.key.arn});
    let cancel = stage.client.call("CancelKeyDeletion", &key).await.refusal();
    assert_eq!(cancel, format!("400 KMSInvalidStateException: {} is not pending deletion.", stage.key.arn));

    let schedule = json!({"KeyId": stage.key.arn, "PendingWindowInDays": 7});
    let answer = stage.client.call("ScheduleKeyDeletion", &schedule).await;
    let deletion_date = after_days(7).as_secs() as f64;
    assert_eq!(
        answer.members(),
        json!({
            "KeyId": stage.key.arn, "DeletionDate": deletion_date, "KeyState": "PendingDeletion",
            "PendingWindowInDays": 7,
        })
    );
    assert_eq!(stage.broker.audit_record(answer.request_id())["readOnly"], false);
    let pending = format!("400 KMSInvalidStateException: {} is pending deletion.", stage.key.arn);
    assert_eq!(stage.decrypt(&blob, json!({})).await.refusal(), pending);
    for operation in ["ScheduleKeyDeletion", "EnableKey", "DisableKey", "RotateKeyOnDemand"] {
        assert_eq!(stage.client.call(operation, &key).await.refusal(), pending, "{operation}");
    }
    let alias = json!({"AliasName": "alias/late", "TargetKeyId": stage.key.arn});
    assert_eq!(stage.client.call("CreateAlias", &alias).await.refusal(), pending);
    let described = stage.client.call("DescribeKey", &key).await.members();
    let described = &described["KeyMetadata"];
    assert_eq!(
        (&described["KeyState"], &described["DeletionDate"], &described["Enabled"]),
        (&json!("PendingDeletion"), &json!(deletion_date), &json!(false))
    );

    // A moment before its time nothing happens to it.
    stage.broker.set_clock(UnixTime::from_ms(after_days(7).as_ms() - 1));
    assert_eq!(stage.broker.keep_house().await.deleted, 0);
    let spared = stage.client.call("CancelKeyDeletion", &key).await.members();
    assert_eq!(spared, json!({"KeyId": stage.key.arn}));
    stage.broker.set_clock(after_days(8));
    assert_eq!(stage.broker.keep_house().await.deleted, 0);
    let described = stage.client.call("DescribeKey", &key).await.members();
    assert_eq!(described["KeyMetadata"]["KeyState"], "Disabled");
    assert!(!names(&described["KeyMetadata"]).contains(&"DeletionDate"));
    stage.client.call("EnableKey", &key).await.members();
    let decrypted = stage.decrypt(&blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), data_key);
}

#[tokio::test]
async fn a_key_whose_window_has_passed_is_gone_with_all_it_sealed() {
    let mut stage = Stage::set().await;
    stage.broker.create_alias("alias/doomed", &stage.key).await;
    let kept = stage.broker.create_key(&crate::broker::open_policy()).await;
    let (blob, _) = stage.sealed(json!({})).await;
    let key = json!({"KeyId": stage.key.arn});
    let answer = stage.client.call("ScheduleKeyDeletion", &key).await.members();
    assert_eq!(answer["PendingWindowInDays"], 30);
    let wrapped = stage.broker.wrapped_material(&stage.key).await;
    assert!(stage.broker.files_hold(&wrapped));

    stage.broker.set_clock(after_days(30));
    assert_eq!(stage.broker.keep_house().await.deleted, 1);
    assert_eq!(stage.broker.keep_house().await.deleted, 0);
    let record = stage.broker.audit_records().pop().unwrap();
    assert_eq!(
        [&record["eventName"], &record["eventType"], &record["userIdentity"]["type"], &record["readOnly"]],
        [&json!("DeleteKey"), &json!("AwsServiceEvent"), &json!("AWSService"), &json!(false)]
    );
    assert_eq!(record["resources"][0]["ARN"], stage.key.arn);
    assert!(!stage.broker.files_hold(&wrapped), "a copy of the wrapped material is left");

    for name in [&stage.key.arn, "alias/doomed"] {
        let refusal = stage.client.call("DescribeKey", &json!({"KeyId": name})).await.refusal();
        assert!(refusal.starts_with("400 NotFoundException: "), "{refusal}");
    }
    assert_eq!(
        stage.decrypt(&blob, json!({})).await.refusal(),
        "400 InvalidCiphertextException: the CiphertextBlob names a key or key material that this broker does not hold"
    );
    stage.client.call("DescribeKey", &json!({"KeyId": kept.arn})).await.members();
}

#[tokio::test]
async fn the_window_is_seven_to_thirty_days() {
    let mut stage = Stage::set().await;
    for (days, rule) in [(6, "greater than or equal to 7"), (31, "less than or equal to 30")] {
        let members = json!({"KeyId": stage.key.arn, "PendingWindowInDays": days});
        let refusal = stage.client.call("ScheduleKeyDeletion", &members).await.refusal();
        assert!(refusal.starts_with("400 ValidationException: "), "{refusal}");
        assert!(refusal.ends_with(rule), "{refusal}");
    }
}
