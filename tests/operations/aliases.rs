//! Aliases come, move and go by the word of the policies of the keys that they name.

use serde_json::{Value, json};

use super::Stage;
use crate::broker::open_policy;

fn only(actions: &[&str]) -> Value {
    let mut only = open_policy();
    only["Statement"][0]["Action"] = json!(actions);
    only
}

#[tokio::test]
async fn an_alias_is_made_moved_and_taken_away() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&open_policy()).await;
    let (app, arn) = ("alias/team/app", stage.key.arn.clone());
    let named = |name: &str, key: &str| json!({"AliasName": name, "TargetKeyId": key});

    let answer = stage.client.call("CreateAlias", &named(app, &arn)).await;
    assert_eq!(answer.members(), json!({}));
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!(record["requestParameters"], json!({"aliasName": app, "targetKeyId": arn}));
    assert_eq!(stage.generate(json!({"KeyId": app})).await.members()["KeyId"], arn);
    assert_eq!(
        stage.client.call("CreateAlias", &named(app, &other.arn)).await.refusal(),
        "400 AlreadyExistsException: an alias with the name alias/team/app already exists"
    );

    stage.client.call("UpdateAlias", &named(app, &other.id.to_string())).await.members();
    assert_eq!(stage.generate(json!({"KeyId": app})).await.members()["KeyId"], other.arn);
    let answer = stage.client.call("DeleteAlias", &json!({"AliasName": app})).await;
    assert_eq!(answer.members(), json!({}));
    assert_eq!(stage.broker.audit_record(answer.request_id())["resources"][0]["ARN"], other.arn);
    let gone =
        "400 NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/team/app does not exist";
    assert_eq!(stage.generate(json!({"KeyId": app})).await.refusal(), gone);
    assert_eq!(stage.client.call("DeleteAlias", &json!({"AliasName": app})).await.refusal(), gone);
    assert_eq!(stage.client.call("UpdateAlias", &named(app, &arn)).await.refusal(), gone);
}

#[tokio::test]
async fn every_key_that_is_touched_is_asked() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&only(&["kms:CreateAlias"])).await;
    stage.broker.create_alias("alias/app", &stage.key).await;
    let to_other = json!({"AliasName": "alias/app", "TargetKeyId": other.arn});
    let refusal = stage.client.call("UpdateAlias", &to_other).await.refusal();
    assert!(refusal.contains(&format!("kms:UpdateAlias on resource: {}", other.arn)), "{refusal}");
    stage.broker.set_policy(&other, &open_policy()).await;
    stage.broker.set_policy(&stage.key, &only(&["kms:CreateAlias"])).await;
    for (operation, members) in
        [("UpdateAlias", to_other), ("DeleteAlias", json!({"AliasName": "alias/app"}))]
    {
        let refusal = stage.client.call(operation, &members).await.refusal();
        let expected = format!("not authorized to perform: kms:{operation} on resource: {}", stage.key.arn);
        assert!(refusal.contains(&expected), "{refusal}");
    }
    stage.broker.set_policy(&stage.key, &only(&["kms:DescribeKey"])).await;
    let members = json!({"AliasName": "alias/new", "TargetKeyId": stage.key.arn});
    let refusal = stage.client.call("CreateAlias", &members).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    let described = stage.client.call("DescribeKey", &json!({"KeyId": "alias/app"})).await.members();
    assert_eq!(described["KeyMetadata"]["Arn"], stage.key.arn);
}

#[tokio::test]
async fn what_is_no_alias_name_is_refused() {
    let mut stage = Stage::set().await;
    for (name, expected) in [
        ("app", "InvalidAliasNameException: "),
        ("alias/", "InvalidAliasNameException: "),
        ("alias/aws/ebs", "InvalidAliasNameException: "),
        ("alias/a b", "ValidationException: 1 validation error detected: Value 'alias/a b' at 'AliasName'"),
        ("", "ValidationException: 1 validation error detected: Value '' at 'AliasName'"),
    ] {
        let members = json!({"AliasName": name, "TargetKeyId": stage.key.arn});
        let refusal = stage.client.call("CreateAlias", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{name:?}: {refusal}");
    }
    let by_alias = json!({"AliasName": "alias/new", "TargetKeyId": "alias/app"});
    let refusal = stage.client.call("CreateAlias", &by_alias).await.refusal();
    assert!(refusal.starts_with("400 NotFoundException: Invalid keyId alias/app"), "{refusal}");
}
