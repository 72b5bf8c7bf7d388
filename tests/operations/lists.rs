//! ListKeys and ListAliases: all of it, page by page, for whom an identity policy allows it.

use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};

use super::{Stage, changed, names};
use crate::broker::{NOW, TestCredential, identity_policy, open_policy};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

async fn stage() -> (Stage, TestCredential) {
    let stage = Stage::set().await;
    stage.broker.attach_policy(ALICE, "list", &identity_policy("Allow", &json!("kms:List*"), "*")).await;
    let alice = stage.broker.create_credential(ALICE, None).await;
    (stage, alice)
}

/// Every item of a list, in pages of `limit`.
async fn listed(
    stage: &mut Stage,
    alice: &TestCredential,
    operation: &str,
    list: &str,
    members: Value,
) -> Vec<Value> {
    let (mut all, mut marker) = (Vec::new(), Value::Null);
    loop {
        let page = stage
            .call_as(alice, operation, &changed(members.clone(), json!({"Marker": marker})))
            .await
            .members();
        let items = page[list].as_array().unwrap();
        assert!(items.len() <= members["Limit"].as_u64().unwrap_or(100) as usize);
        all.extend(items.iter().cloned());
        assert_eq!(page["Truncated"], names(&page).contains(&"NextMarker"));
        if page["Truncated"] == false {
            return all;
        }
        marker = page["NextMarker"].clone();
    }
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let (mut stage, alice) = stage().await;
    let mut ids = vec![stage.key.id];
    for _ in 0..4 {
        ids.push(stage.broker.create_key(&open_policy()).await.id);
    }
    ids.sort();
    let expected: Vec<Value> = ids
        .iter()
        .map(|id| json!({"KeyId": id.to_string(), "KeyArn": stage.broker.realm().key_arn(*id).to_string()}))
        .collect();
    for limit in [1, 2, 5, 1000] {
        let all = listed(&mut stage, &alice, "ListKeys", "Keys", json!({"Limit": limit})).await;
        assert_eq!(all, expected, "{limit}");
    }
    for (owners, count) in [
        (json!(["SELF"]), 5),
        (json!(["OTHER_ACCOUNTS_VIA_RAM"]), 0),
        (json!(["OTHER_ACCOUNTS_VIA_RAM", "SELF"]), 5),
    ] {
        let members = json!({"ResourceOwners": owners});
        assert_eq!(listed(&mut stage, &alice, "ListKeys", "Keys", members).await.len(), count, "{owners}");
    }
    for (members, expected) in [
        (json!({"Marker": "x"}), "InvalidMarkerException: "),
        (json!({"Marker": "\n"}), "ValidationException: "),
        (json!({"Limit": 0}), "ValidationException: "),
        (json!({"Limit": 1001}), "ValidationException: "),
        (json!({"ResourceOwners": []}), "ValidationException: "),
        (json!({"ResourceOwners": ["ALL"]}), "ValidationException: "),
    ] {
        let refusal = stage.call_as(&alice, "ListKeys", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{members}: {refusal}");
    }
}

#[tokio::test]
async fn aliases_are_listed_of_all_keys_or_of_one() {
    let (mut stage, alice) = stage().await;
    let other = stage.broker.create_key(&open_policy()).await;
    for (name, key) in [("alias/b", &other), ("alias/a", &stage.key), ("alias/team/c", &stage.key)] {
        stage.broker.create_alias(name, key).await;
    }
    let later = UnixTime::from_secs(NOW.as_secs() + 60);
    stage.broker.set_clock(later);
    let moved = json!({"AliasName": "alias/b", "TargetKeyId": stage.key.arn});
    stage.client.call("UpdateAlias", &moved).await.members();
    let entry = |name: &str, updated: UnixTime| {
        json!({
            "AliasName": name,
            "AliasArn": format!("arn:aws:kms:us-east-1:111122223333:{name}"),
            "TargetKeyId": stage.key.id.to_string(),
            "CreationDate": NOW.as_secs() as f64,
            "LastUpdatedDate": updated.as_secs() as f64,
        })
    };
    let expected = [entry("alias/a", NOW), entry("alias/b", later), entry("alias/team/c", NOW)];
    let (own, others) = (stage.key.arn.clone(), other.id.to_string());
    for (limit, key) in [(json!(1), json!(null)), (json!(2), json!(own)), (json!(null), json!(null))] {
        let members = changed(json!({}), json!({"Limit": limit, "KeyId": key}));
        assert_eq!(listed(&mut stage, &alice, "ListAliases", "Aliases", members).await, expected);
    }
    assert!(listed(&mut stage, &alice, "ListAliases", "Aliases", json!({"KeyId": others})).await.is_empty());
    for (members, expected) in [
        (json!({"KeyId": "alias/a"}), "NotFoundException: Invalid keyId alias/a"),
        (json!({"KeyId": "00000000-0000-4000-8000-000000000000"}), "NotFoundException: Key "),
        (json!({"Marker": "x"}), "InvalidMarkerException: "),
        (json!({"KeyId": ""}), "ValidationException: "),
    ] {
        let refusal = stage.call_as(&alice, "ListAliases", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{members}: {refusal}");
    }
}

#[tokio::test]
async fn lists_are_for_identity_policies_to_give() {
    let (mut stage, _) = stage().await;
    let bob = "arn:aws:iam::111122223333:user/bob";
    stage.broker.attach_policy(bob, "keys", &identity_policy("Allow", &json!("kms:*"), &stage.key.arn)).await;
    let bob = stage.broker.create_credential(bob, None).await;
    for operation in ["ListKeys", "ListAliases"] {
        let expected = format!(
            "kms:{operation} on resource: * because no identity-based policy allows the kms:{operation} action"
        );
        for refusal in [
            stage.client.call(operation, &json!({})).await.refusal(),
            stage.call_as(&bob, operation, &json!({})).await.refusal(),
        ] {
            assert!(refusal.ends_with(&expected), "{refusal}");
        }
    }
}
