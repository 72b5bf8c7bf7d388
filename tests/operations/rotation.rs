//! Rotation: new material seals, older material opens what it sealed.

use serde_json::{Value, json};

use super::{Stage, changed};

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
