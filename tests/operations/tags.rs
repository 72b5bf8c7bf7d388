//! Tags: put on, read page by page, taken away, and asked for by policies.

use serde_json::{Value, json};

use super::{Stage, changed};
use crate::broker::policy;

fn tag(key: &str, value: &str) -> Value {
    json!({"TagKey": key, "TagValue": value})
}

#[tokio::test]
async fn tags_are_put_replaced_read_and_taken_away() {
    let mut stage = Stage::set().await;
    let key = json!({"KeyId": stage.key.arn});
    let put =
        changed(key.clone(), json!({"Tags": [tag("Team", "blue"), tag("größe", "9 + 1"), tag("Cost", "")]}));
    let answer = stage.client.call("TagResource", &put).await;
    assert_eq!(answer.members(), json!({}));
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!(record["readOnly"], false);
    assert_eq!(record["requestParameters"]["tags"][0], json!({"tagKey": "Team", "tagValue": "blue"}));

    let replaced = changed(key.clone(), json!({"Tags": [tag("Team", "red")]}));
    stage.client.call("TagResource", &replaced).await.members();
    let expected = [tag("Cost", ""), tag("Team", "red"), tag("größe", "9 + 1")];
    for limit in [1, 2, 50] {
        let (mut all, mut marker) = (Vec::new(), Value::Null);
        loop {
            let members = changed(key.clone(), json!({"Limit": limit, "Marker": marker}));
            let page = stage.client.call("ListResourceTags", &members).await.members();
            all.extend(page["Tags"].as_array().unwrap().iter().cloned());
            if page["Truncated"] == false {
                break;
            }
            marker = page["NextMarker"].clone();
        }
        assert_eq!(all, expected, "{limit}");
    }
    let untag = changed(key.clone(), json!({"TagKeys": ["Team", "none"]}));
    let answer = stage.client.call("UntagResource", &untag).await;
    assert_eq!(answer.members(), json!({}));
    assert_eq!(
        stage.broker.audit_record(answer.request_id())["requestParameters"]["tagKeys"],
        json!(["Team", "none"])
    );
    let left = stage.client.call("ListResourceTags", &key).await.members();
    assert_eq!(left, json!({"Tags": [tag("Cost", ""), tag("größe", "9 + 1")], "Truncated": false}));
}

#[tokio::test]
async fn what_is_no_tag_is_refused() {
    let mut stage = Stage::set().await;
    let fifty: Vec<Value> = (0..50).map(|number| tag(&number.to_string(), "")).collect();
    let long = "x".repeat(129);
    let cases = [
        (
            "TagResource",
            json!({}),
            "ValidationException: 1 validation error detected: Value 'null' at 'Tags'",
        ),
        ("TagResource", json!({"Tags": ["a"]}), "SerializationException: Tags must be a list of objects"),
        ("TagResource", json!({"Tags": [tag(&long, "")]}), "ValidationException: "),
        ("TagResource", json!({"Tags": [tag("a", &"x".repeat(257))]}), "ValidationException: "),
        ("TagResource", json!({"Tags": [tag("AWS:a", "")]}), "TagException: "),
        ("TagResource", json!({"Tags": [tag("a\u{0}", "")]}), "TagException: "),
        (
            "UntagResource",
            json!({}),
            "ValidationException: 1 validation error detected: Value 'null' at 'TagKeys'",
        ),
        ("UntagResource", json!({"TagKeys": [""]}), "ValidationException: "),
        ("UntagResource", json!({"TagKeys": ["a", "a"]}), "TagException: the tag key \"a\" is repeated"),
        ("UntagResource", json!({"TagKeys": ["aws:a"]}), "TagException: "),
        ("ListResourceTags", json!({"Marker": "!"}), "InvalidMarkerException: "),
        ("ListResourceTags", json!({"KeyId": "alias/app"}), "NotFoundException: "),
    ];
    for (operation, members, expected) in cases {
        let members = changed(json!({"KeyId": stage.key.arn}), members);
        let refusal = stage.client.call(operation, &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{operation} {members}: {refusal}");
    }
    let put = |tags: Value| json!({"KeyId": stage.key.arn, "Tags": tags});
    let (all, again, more) =
        (put(json!(fifty)), put(json!([tag("7", "seven")])), put(json!([tag("new", "")])));
    stage.client.call("TagResource", &all).await.members();
    stage.client.call("TagResource", &again).await.members();
    let refusal = stage.client.call("TagResource", &more).await.refusal();
    assert_eq!(refusal, "400 LimitExceededException: a key has at most 50 tags");
    let listed = stage.client.call("ListResourceTags", &json!({"KeyId": stage.key.arn})).await.members();
    assert_eq!(listed["Tags"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn policies_ask_for_tags() {
    let mut stage = Stage::set().await;
    let key = json!({"KeyId": stage.key.arn});
    let put = |team: &str| json!({"KeyId": stage.key.arn, "Tags": [tag("Team", team)]});
    let (blue, red) = (put("blue"), put("red"));
    let untag = changed(key.clone(), json!({"TagKeys": ["Team"]}));
    stage
        .broker
        .set_policy(&stage.key, &policy(&json!({"StringEquals": {"aws:RequestTag/Team": "blue"}})))
        .await;
    assert!(
        stage.client.call("TagResource", &red).await.refusal().starts_with("400 AccessDeniedException: ")
    );
    stage.client.call("TagResource", &blue).await.members();

    stage
        .broker
        .set_policy(&stage.key, &policy(&json!({"StringEquals": {"aws:ResourceTag/Team": "blue"}})))
        .await;
    stage.client.call("DescribeKey", &key).await.members();
    stage.client.call("TagResource", &red).await.members();
    assert!(
        stage.client.call("DescribeKey", &key).await.refusal().starts_with("400 AccessDeniedException: ")
    );

    let keys = policy(&json!({"ForAllValues:StringEquals": {"aws:TagKeys": "Cost"}}));
    stage.broker.set_policy(&stage.key, &keys).await;
    assert!(
        stage.client.call("UntagResource", &untag).await.refusal().starts_with("400 AccessDeniedException: ")
    );
}

#[tokio::test]
async fn tags_go_with_their_key() {
    let mut stage = Stage::set().await;
    let key = json!({"KeyId": stage.key.arn});
    let put = changed(key.clone(), json!({"Tags": [tag("Team", "a value that stands nowhere else")]}));
    stage.client.call("TagResource", &put).await.members();
    stage
        .client
        .call("ScheduleKeyDeletion", &changed(key.clone(), json!({"PendingWindowInDays": 7})))
        .await
        .members();
    for operation in ["TagResource", "UntagResource"] {
        let members = changed(put.clone(), json!({"TagKeys": ["Team"]}));
        let refusal = stage.client.call(operation, &members).await.refusal();
        assert!(refusal.starts_with("400 KMSInvalidStateException: "), "{refusal}");
    }
    stage.client.call("ListResourceTags", &key).await.members();
    let week = std::time::Duration::from_secs(7 * 24 * 60 * 60 + 1);
    stage.broker.set_clock(stage.broker.now().saturating_add(week));
    assert_eq!(stage.broker.keep_house().await.deleted, 1);
    assert!(!stage.broker.files_hold(b"a value that stands nowhere else"));
}
