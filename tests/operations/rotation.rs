//! Rotation: new material seals, older material opens what it sealed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Stage, changed};
use crate::broker::NOW;

impl Stage {
    async fn rotations(&mut self, changes: Value) -> super::Answer {
        self.client.call("ListKeyRotations", &changed(json!({"KeyId": self.key.arn}), changes)).await
    }
}

#[tokio::test]
async fn rotation_changes_what_seals_and_not_what_opens() {
    let mut stage = Stage::set().await;
    let (first_blob, first_key) = stage.sealed(json!({})).await;
    let first_material = hex::encode(stage.key.material_id);
    assert_eq!(stage.rotations(json!({})).await.members(), json!({"Rotations": [], "Truncated": false}));

    let key = json!({"KeyId": stage.key.arn});
    let answer = stage.client.call("RotateKeyOnDemand", &key).await;
    assert_eq!(answer.members(), json!({"KeyId": stage.key.id.to_string()}));
    let record = stage.broker.audit_record(answer.request_id());
    let material = &record["additionalEventData"]["decision"]["keyMaterialId"];
    let described = stage.client.call("DescribeKey", &key).await.members();
    assert_eq!(&described["KeyMetadata"]["CurrentKeyMaterialId"], material);
    assert_ne!(*material, first_material);

    let made = stage.generate_without_plaintext(json!({})).await.members();
    assert_eq!(&made["KeyMaterialId"], material);
    for blob in [&first_blob, &made["CiphertextBlob"]] {
        stage.decrypt(blob, json!({})).await.members();
    }
    let decrypted = stage.decrypt(&first_blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), first_key);

    // ReEncrypt on the same key brings an older ciphertext under the new material.
    let members = json!({"CiphertextBlob": first_blob, "DestinationKeyId": stage.key.arn});
    let moved = stage.client.call("ReEncrypt", &members).await.members();
    assert_eq!(moved["SourceKeyMaterialId"], first_material);
    assert_eq!(&moved["DestinationKeyMaterialId"], material);

    let rotation = json!({
        "KeyId": stage.key.id.to_string(), "KeyMaterialId": material, "KeyMaterialState": "CURRENT",
        "RotationDate": 1_767_472_867.0, "RotationType": "ON_DEMAND",
    });
    assert_eq!(
        stage.rotations(json!({})).await.members(),
        json!({"Rotations": [rotation], "Truncated": false})
    );
    let first = json!({
        "KeyId": stage.key.id.to_string(), "KeyMaterialId": first_material, "KeyMaterialState": "NON_CURRENT",
    });
    assert_eq!(
        stage.rotations(json!({"IncludeKeyMaterial": "ALL_KEY_MATERIAL"})).await.members(),
        json!({"Rotations": [first, rotation], "Truncated": false})
    );
}

#[tokio::test]
async fn rotations_are_listed_page_by_page_and_have_an_end() {
    let mut stage = Stage::set().await;
    let key = json!({"KeyId": stage.key.arn});
    for _ in 0..25 {
        stage.client.call("RotateKeyOnDemand", &key).await.members();
    }
    assert_eq!(
        stage.client.call("RotateKeyOnDemand", &key).await.refusal(),
        "400 LimitExceededException: the key was rotated on demand 25 times, the most that are possible"
    );
    let whole = stage.rotations(json!({})).await.members();
    let (mut paged, mut marker) = (Vec::new(), Value::Null);
    for expected in [10, 10, 5] {
        let page = stage.rotations(json!({"Limit": 10, "Marker": marker})).await.members();
        let rotations = page["Rotations"].as_array().unwrap();
        assert_eq!((rotations.len(), &page["Truncated"]), (expected, &json!(expected == 10)));
        paged.extend(rotations.clone());
        marker = page["NextMarker"].clone();
    }
    assert_eq!((json!(paged), marker), (whole["Rotations"].clone(), Value::Null));
    assert_eq!(
        stage.rotations(json!({"Marker": "elsewhere"})).await.refusal(),
        "400 InvalidMarkerException: the marker is not one of this list"
    );
}

#[tokio::test]
async fn a_disabled_key_is_not_rotated() {
    let mut stage = Stage::set().await;
    let key = json!({"KeyId": stage.key.arn});
    stage.client.call("DisableKey", &key).await.members();
    assert_eq!(
        stage.client.call("RotateKeyOnDemand", &key).await.refusal(),
        format!("400 DisabledException: {} is disabled.", stage.key.arn)
    );
}

#[tokio::test]
async fn a_key_is_rotated_by_itself_when_its_period_has_passed() {
    let mut stage = Stage::set().await;
    let arn = stage.key.arn.clone();
    let key = json!({"KeyId": arn});
    let (blob, _) = stage.sealed(json!({})).await;
    let status = stage.client.call("GetKeyRotationStatus", &key).await.members();
    assert_eq!(status, json!({"KeyId": arn, "KeyRotationEnabled": false}));

    let enable = json!({"KeyId": arn, "RotationPeriodInDays": 90});
    assert_eq!(stage.client.call("EnableKeyRotation", &enable).await.members(), json!({}));
    let after_days = |days: u64| NOW.saturating_add(Duration::from_secs(days * 86_400));
    let expected = |next: u64| {
        json!({
            "KeyId": arn, "KeyRotationEnabled": true, "RotationPeriodInDays": 90,
            "NextRotationDate": after_days(next).as_secs() as f64,
        })
    };
    assert_eq!(stage.client.call("GetKeyRotationStatus", &key).await.members(), expected(90));
    stage.broker.set_clock(after_days(89));
    assert_eq!(stage.broker.keep_house().await.rotated, 0);

    // A disabled key is not rotated; when it is enabled again, what was missed is made up for.
    stage.client.call("DisableKey", &key).await.members();
    stage.broker.set_clock(after_days(95));
    assert_eq!(stage.broker.keep_house().await.rotated, 0);
    stage.client.call("EnableKey", &key).await.members();
    assert_eq!(stage.broker.keep_house().await.rotated, 1);
    let record = stage.broker.audit_records().pop().unwrap();
    assert_eq!(
        [&record["eventName"], &record["eventType"], &record["resources"][0]["ARN"]],
        [&json!("RotateKey"), &json!("AwsServiceEvent"), &json!(arn)]
    );
    assert_eq!(stage.broker.keep_house().await.rotated, 0);
    assert_eq!(stage.client.call("GetKeyRotationStatus", &key).await.members(), expected(185));
    let rotations = stage.rotations(json!({})).await.members()["Rotations"].clone();
    assert_eq!(rotations.as_array().unwrap().len(), 1);
    assert_eq!(
        (&rotations[0]["RotationType"], &rotations[0]["RotationDate"]),
        (&json!("AUTOMATIC"), &json!(after_days(95).as_secs() as f64))
    );
    // The clock stands elsewhere now, and so must the enclave's document.
    stage.decrypt(&blob, json!({})).await.members();

    stage.client.call("ScheduleKeyDeletion", &key).await.members();
    let status = stage.client.call("GetKeyRotationStatus", &key).await.members();
    assert_eq!(status["KeyRotationEnabled"], false);
    stage.client.call("CancelKeyDeletion", &key).await.members();
    assert_eq!(stage.client.call("GetKeyRotationStatus", &key).await.members(), expected(185));
    let refusal = stage.client.call("DisableKeyRotation", &key).await.refusal();
    assert_eq!(refusal, format!("400 DisabledException: {arn} is disabled."));
    stage.client.call("EnableKey", &key).await.members();
    stage.client.call("DisableKeyRotation", &key).await.members();
    stage.broker.set_clock(after_days(400));
    assert_eq!(stage.broker.keep_house().await.rotated, 0);
    let status = stage.client.call("GetKeyRotationStatus", &key).await.members();
    assert_eq!(status, json!({"KeyId": arn, "KeyRotationEnabled": false}));
}

#[tokio::test]
async fn the_rotation_period_is_that_of_the_model() {
    let mut stage = Stage::set().await;
    for (days, rule) in [(89, "greater than or equal to 90"), (2561, "less than or equal to 2560")] {
        let members = json!({"KeyId": stage.key.arn, "RotationPeriodInDays": days});
        let refusal = stage.client.call("EnableKeyRotation", &members).await.refusal();
        assert!(refusal.starts_with("400 ValidationException: ") && refusal.ends_with(rule), "{refusal}");
    }
    stage.client.call("EnableKeyRotation", &json!({"KeyId": stage.key.arn})).await.members();
    let status = stage.client.call("GetKeyRotationStatus", &json!({"KeyId": stage.key.arn})).await.members();
    assert_eq!(status["RotationPeriodInDays"], 365);
}

#[tokio::test]
async fn a_key_that_cannot_be_rotated_keeps_no_other_from_it() {
    let mut stage = Stage::set().await;
    let broken = stage.broker.create_key(&crate::broker::open_policy()).await;
    for key in [&stage.key.arn, &broken.arn] {
        stage.client.call("EnableKeyRotation", &json!({"KeyId": key})).await.members();
    }
    let sql = format!("UPDATE keys SET policy = '{{}}' WHERE key_id = '{}'", broken.id);
    stage.broker.database().await.execute(&sql).await;
    stage.broker.set_clock(NOW.saturating_add(Duration::from_secs(366 * 86_400)));
    let done = stage.broker.keep_house().await;
    assert_eq!((done.rotated, done.failed, done.deleted), (1, 1, 0));
    let done = stage.broker.keep_house().await;
    assert_eq!((done.rotated, done.failed), (0, 1));
}
