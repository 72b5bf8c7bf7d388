//! What can be seen of a key and changed about it, by whom.

use serde_json::{Value, json};

use super::{Stage, changed, names};
use crate::broker::{open_policy, policy};

/// Everything but what `denied` names.
fn all_but(denied: &str) -> Value {
    let mut all_but = open_policy();
    let deny = json!({
        "Sid": "Not", "Effect": "Deny", "Principal": "*", "Action": denied, "Resource": "*",
    });
    all_but["Statement"].as_array_mut().unwrap().push(deny);
    all_but
}

#[tokio::test]
async fn a_key_is_described_by_each_of_its_names() {
    let mut stage = Stage::set().await;
    stage.broker.create_alias("alias/app", &stage.key).await;
    let by_id = stage.client.call("DescribeKey", &json!({"KeyId": stage.key.id.to_string()})).await.members();
    assert_eq!(
        by_id,
        json!({"KeyMetadata": {
            "AWSAccountId": "111122223333",
            "Arn": stage.key.arn,
            "CreationDate": 1_767_472_867.0,
            "CurrentKeyMaterialId": hex::encode(stage.key.material_id),
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "Description": "",
            "Enabled": true,
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "KeyId": stage.key.id.to_string(),
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyState": "Enabled",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": false,
            "Origin": "AWS_KMS",
        }})
    );
    let alias_arn = "arn:aws:kms:us-east-1:111122223333:alias/app";
    for name in [stage.key.arn.as_str(), "alias/app", alias_arn] {
        assert_eq!(
            stage.client.call("DescribeKey", &json!({"KeyId": name})).await.members(),
            by_id,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_disabled_key_can_be_seen_and_not_used() {
    let mut stage = Stage::set().await;
    let (blob, data_key) = stage.sealed(json!({})).await;
    let key = json!({"KeyId": stage.key.arn});

    let answer = stage.client.call("DisableKey", &key).await;
    assert_eq!(answer.members(), json!({}));
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!((&record["eventName"], &record["readOnly"]), (&json!("DisableKey"), &json!(false)));
    let described = stage.client.call("DescribeKey", &key).await.members();
    assert_eq!(
        (&described["KeyMetadata"]["KeyState"], &described["KeyMetadata"]["Enabled"]),
        (&json!("Disabled"), &json!(false))
    );
    let is_disabled = format!("400 DisabledException: {} is disabled.", stage.key.arn);
    assert_eq!(stage.decrypt(&blob, json!({})).await.refusal(), is_disabled);
    assert_eq!(stage.generate(json!({})).await.refusal(), is_disabled);
    let encrypt = json!({"KeyId": stage.key.arn, "Plaintext": "AAAA"});
    assert_eq!(stage.client.call("Encrypt", &encrypt).await.refusal(), is_disabled);

    // Disabling what is disabled, and enabling what is enabled, is no error.
    for operation in ["DisableKey", "EnableKey", "EnableKey"] {
        assert_eq!(stage.client.call(operation, &key).await.members(), json!({}), "{operation}");
    }
    let decrypted = stage.decrypt(&blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), data_key);
}

#[tokio::test]
async fn a_key_pending_deletion_is_not_changed() {
    let mut stage = Stage::set().await;
    let id = stage.key.id.to_string();
    stage.client.call("ScheduleKeyDeletion", &json!({"KeyId": id})).await.members();
    for (operation, more) in [
        ("EnableKey", json!({})),
        ("DisableKey", json!({})),
        ("UpdateKeyDescription", json!({"Description": "late"})),
    ] {
        let members = changed(json!({"KeyId": id}), more);
        assert_eq!(
            stage.client.call(operation, &members).await.refusal(),
            format!("400 KMSInvalidStateException: {} is pending deletion.", stage.key.arn),
            "{operation}"
        );
    }
    let described = stage.client.call("DescribeKey", &json!({"KeyId": id})).await.members();
    assert_eq!(described["KeyMetadata"]["KeyState"], "PendingDeletion");
    assert!(stage.client.call("GetKeyPolicy", &json!({"KeyId": id})).await.members()["Policy"].is_string());
}

#[tokio::test]
async fn a_description_is_replaced() {
    let mut stage = Stage::set().await;
    let arn = stage.key.arn.clone();
    for text in ["the key of the app", "", &"ä".repeat(8192)] {
        let members = json!({"KeyId": arn, "Description": text});
        assert_eq!(stage.client.call("UpdateKeyDescription", &members).await.members(), json!({}));
        let described = stage.client.call("DescribeKey", &json!({"KeyId": arn})).await.members();
        assert_eq!(described["KeyMetadata"]["Description"], text);
    }
    let too_long = json!({"KeyId": arn, "Description": "x".repeat(8193)});
    let refusal = stage.client.call("UpdateKeyDescription", &too_long).await.refusal();
    assert!(refusal.ends_with("Member must have length less than or equal to 8192"), "{refusal}");
}

#[tokio::test]
async fn a_policy_is_read_back_as_it_was_put() {
    let mut stage = Stage::set().await;
    let arn = stage.key.arn.clone();
    let text =
        serde_json::to_string_pretty(&policy(&json!({"Bool": {"aws:SecureTransport": "false"}}))).unwrap();
    let put = json!({"KeyId": arn, "PolicyName": "default", "Policy": text});
    let answer = stage.client.call("PutKeyPolicy", &put).await;
    assert_eq!(answer.members(), json!({}));
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!((&record["requestParameters"]["policy"], &record["readOnly"]), (&json!(text), &json!(false)));
    let read = stage.client.call("GetKeyPolicy", &json!({"KeyId": arn})).await.members();
    assert_eq!(read, json!({"Policy": text, "PolicyName": "default"}));
    let listed = stage.client.call("ListKeyPolicies", &json!({"KeyId": arn, "Limit": 1})).await.members();
    assert_eq!(listed, json!({"PolicyNames": ["default"], "Truncated": false}));

    for operation in ["GetKeyPolicy", "PutKeyPolicy"] {
        let other = json!({"KeyId": arn, "PolicyName": "other", "Policy": text});
        let refusal = stage.client.call(operation, &other).await.refusal();
        assert_eq!(refusal, "400 NotFoundException: No such policy exists", "{operation}");
        let no_name = json!({"KeyId": arn, "PolicyName": "a b", "Policy": text});
        let refusal = stage.client.call(operation, &no_name).await.refusal();
        assert!(refusal.ends_with(r"Member must satisfy regular expression pattern: [\w]+"), "{refusal}");
    }
}

#[tokio::test]
async fn a_policy_that_locks_its_author_out_is_put_only_on_purpose() {
    let mut stage = Stage::set().await;
    let put = |policy: &Value, bypass: bool| {
        json!({
            "KeyId": stage.key.arn, "Policy": policy.to_string(), "BypassPolicyLockoutSafetyCheck": bypass,
        })
    };
    let locks_out = all_but("kms:PutKeyPolicy");
    let (checked, bypassed) = (put(&locks_out, false), put(&locks_out, true));
    assert_eq!(
        stage.client.call("PutKeyPolicy", &checked).await.refusal(),
        "400 MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in \
         the future."
    );
    let read = stage.client.call("GetKeyPolicy", &json!({"KeyId": stage.key.arn})).await.members();
    assert_eq!(read["Policy"], open_policy().to_string());
    stage.client.call("PutKeyPolicy", &bypassed).await.members();
    let refusal = stage.client.call("PutKeyPolicy", &bypassed).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
}

#[tokio::test]
async fn what_is_no_policy_is_not_put() {
    let mut stage = Stage::set().await;
    let mut misspelt = open_policy();
    misspelt["Statement"][0]["Action"] = json!("kms:Decyrpt");
    for (text, expected) in [
        ("{".to_owned(), "the policy is refused: "),
        (misspelt.to_string(), "Decyrpt"),
        (format!("{}{}", open_policy(), " ".repeat(40_000)), "32768"),
    ] {
        let members = json!({"KeyId": stage.key.arn, "Policy": text});
        let refusal = stage.client.call("PutKeyPolicy", &members).await.refusal();
        assert!(refusal.starts_with("400 MalformedPolicyDocumentException: "), "{refusal}");
        assert!(refusal.contains(expected), "{refusal}");
    }
    let read = stage.client.call("GetKeyPolicy", &json!({"KeyId": stage.key.arn})).await.members();
    assert_eq!(read["Policy"], open_policy().to_string());
}

/// Each operation is its own permission, and only DescribeKey takes an alias.
#[tokio::test]
async fn each_operation_asks_the_policy_for_itself() {
    let mut stage = Stage::set().await;
    stage.broker.create_alias("alias/app", &stage.key).await;
    for (operation, more) in [
        ("DescribeKey", json!({})),
        ("ScheduleKeyDeletion", json!({})),
        ("CancelKeyDeletion", json!({})),
        ("RotateKeyOnDemand", json!({})),
        ("ListKeyRotations", json!({})),
        ("EnableKeyRotation", json!({})),
        ("GetKeyRotationStatus", json!({})),
        ("DisableKeyRotation", json!({})),
        ("DisableKey", json!({})),
        ("EnableKey", json!({})),
        ("GetKeyPolicy", json!({})),
        ("ListKeyPolicies", json!({})),
        ("PutKeyPolicy", json!({"Policy": open_policy().to_string()})),
        ("UpdateKeyDescription", json!({"Description": "changed"})),
    ] {
        let members = changed(json!({"KeyId": stage.key.arn}), more);
        stage.broker.set_policy(&stage.key, &all_but(&format!("kms:{operation}"))).await;
        let refusal = stage.client.call(operation, &members).await.refusal();
        assert_eq!(
            refusal,
            format!(
                "400 AccessDeniedException: User: anonymous is not authorized to perform: kms:{operation} on \
                 resource: {} with an explicit deny in a resource-based policy",
                stage.key.arn
            )
        );
        let by_alias = changed(members.clone(), json!({"KeyId": "alias/app"}));
        let refusal = stage.client.call(operation, &by_alias).await.refusal();
        let expected = if operation == "DescribeKey" {
            "400 AccessDeniedException: "
        } else {
            "400 NotFoundException: Invalid keyId alias/app: this operation takes a key id or key ARN, no alias"
        };
        assert!(refusal.starts_with(expected), "{operation}: {refusal}");
        let nobody = changed(members, json!({"KeyId": "00000000-0000-4000-8000-000000000000"}));
        let refusal = stage.client.call(operation, &nobody).await.refusal();
        assert!(refusal.starts_with("400 NotFoundException: "), "{operation}: {refusal}");
    }
    stage.broker.set_policy(&stage.key, &open_policy()).await;
    let described = stage.client.call("DescribeKey", &json!({"KeyId": stage.key.arn})).await.members();
    let described = &described["KeyMetadata"];
    // What was refused has changed nothing.
    assert_eq!((&described["KeyState"], &described["Description"]), (&json!("Enabled"), &json!("")));
    assert!(names(described).contains(&"CurrentKeyMaterialId"));
}
