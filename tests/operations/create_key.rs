//! CreateKey: what a new key is, and who may make one.

use nitro_key_broker::store::KeyStore;
use serde_json::{Value, json};

use super::{Stage, changed, names};
use crate::broker::{TestCredential, identity_policy, open_policy};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ROOT: &str = "arn:aws:iam::111122223333:root";

/// A stage and alice, who may do this.
async fn stage_for(actions: Value) -> (Stage, TestCredential) {
    let stage = Stage::set().await;
    stage.broker.attach_policy(ALICE, "own", &identity_policy("Allow", &actions, "*")).await;
    let alice = stage.broker.create_credential(ALICE, None).await;
    (stage, alice)
}

#[tokio::test]
async fn a_key_is_made_and_used_by_its_maker() {
    let (mut stage, alice) = stage_for(json!("kms:*")).await;
    let answer = stage.call_as(&alice, "CreateKey", &json!({})).await;
    let metadata = answer.members()["KeyMetadata"].clone();
    let arn = metadata["Arn"].as_str().unwrap().to_owned();
    let id = metadata["KeyId"].as_str().unwrap().to_owned();
    assert_eq!(arn, format!("arn:aws:kms:us-east-1:111122223333:key/{id}"));
    assert_eq!(
        (&metadata["KeyState"], &metadata["KeySpec"], &metadata["KeyUsage"], &metadata["Origin"]),
        (&json!("Enabled"), &json!("SYMMETRIC_DEFAULT"), &json!("ENCRYPT_DECRYPT"), &json!("AWS_KMS"))
    );
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!((&record["readOnly"], &record["resources"][0]["ARN"]), (&json!(false), &json!(arn)));
    assert_eq!(
        record["requestParameters"],
        json!({
            "keySpec": "SYMMETRIC_DEFAULT", "origin": "AWS_KMS", "description": "",
            "bypassPolicyLockoutSafetyCheck": false, "multiRegion": false,
        })
    );
    assert_eq!(
        crate::broker::ending(&record),
        json!({"outcome": "allowed", "identityStatement": "policy \"own\" Statement[0]"})
    );

    // Its default policy leaves it to the account's identity policies.
    let described = stage.call_as(&alice, "DescribeKey", &json!({"KeyId": id})).await.members();
    assert_eq!(described["KeyMetadata"], metadata);
    let encrypted = stage.call_as(&alice, "Encrypt", &json!({"KeyId": id, "Plaintext": "AAAA"})).await;
    assert_eq!(encrypted.members()["KeyId"], arn);
    let anonymous = stage.client.call("DescribeKey", &json!({"KeyId": id})).await.refusal();
    assert!(anonymous.starts_with("400 AccessDeniedException: "), "{anonymous}");
}

#[tokio::test]
async fn every_parameter_is_kept() {
    let (mut stage, alice) = stage_for(json!("kms:*")).await;
    let policy = open_policy().to_string();
    let members = json!({
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "EXTERNAL",
        "Policy": policy, "Description": "for tests", "MultiRegion": false,
        "Tags": [{"TagKey": "Team", "TagValue": "blue"}, {"TagKey": "Größe", "TagValue": ""}],
    });
    let metadata = stage.call_as(&alice, "CreateKey", &members).await.members()["KeyMetadata"].clone();
    let key = json!({"KeyId": metadata["KeyId"]});
    assert_eq!(
        (&metadata["Origin"], &metadata["KeyState"], &metadata["Description"]),
        (&json!("EXTERNAL"), &json!("PendingImport"), &json!("for tests"))
    );
    assert!(!names(&metadata).contains(&"CurrentKeyMaterialId"));
    let read = stage.client.call("GetKeyPolicy", &key).await.members();
    assert_eq!(read["Policy"], policy);
    let tags = stage.client.call("ListResourceTags", &key).await.members();
    let expected = json!([{"TagKey": "Größe", "TagValue": ""}, {"TagKey": "Team", "TagValue": "blue"}]);
    assert_eq!(tags, json!({"Tags": expected, "Truncated": false}));
}

#[tokio::test]
async fn keys_of_every_kind_are_made() {
    let (mut stage, alice) = stage_for(json!("kms:*")).await;
    for (members, spec, usage) in [
        (json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}), "RSA_2048", "ENCRYPT_DECRYPT"),
        (json!({"KeySpec": "ECC_NIST_P384", "KeyUsage": "KEY_AGREEMENT"}), "ECC_NIST_P384", "KEY_AGREEMENT"),
        (
            json!({"CustomerMasterKeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY"}),
            "ECC_SECG_P256K1",
            "SIGN_VERIFY",
        ),
        (
            json!({"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"}),
            "ECC_NIST_EDWARDS25519",
            "SIGN_VERIFY",
        ),
        (
            json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"}),
            "RSA_2048",
            "SIGN_VERIFY",
        ),
        (
            json!({"KeySpec": "HMAC_384", "KeyUsage": "GENERATE_VERIFY_MAC", "Origin": "EXTERNAL"}),
            "HMAC_384",
            "GENERATE_VERIFY_MAC",
        ),
    ] {
        let answer = stage.call_as(&alice, "CreateKey", &members).await;
        let metadata = answer.members()["KeyMetadata"].clone();
        assert_eq!((&metadata["KeySpec"], &metadata["KeyUsage"]), (&json!(spec), &json!(usage)));
        let key = json!({"KeyId": metadata["KeyId"]});
        if spec.starts_with("ECC") {
            let public = stage.call_as(&alice, "GetPublicKey", &key).await.members();
            assert_eq!(public["KeySpec"], spec);
        }
    }
    let external = json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"});
    let metadata = stage.call_as(&alice, "CreateKey", &external).await.members()["KeyMetadata"].clone();
    assert_eq!(metadata["KeyState"], "PendingImport");
}

#[tokio::test]
async fn only_an_identity_policy_lets_one_make_keys() {
    let (mut stage, alice) = stage_for(json!("kms:CreateKey")).await;
    let root = stage.broker.create_credential(ROOT, None).await;
    let bob = stage.broker.create_credential("arn:aws:iam::111122223333:user/bob", None).await;
    let mallory = "arn:aws:iam::444455556666:user/mallory";
    stage.broker.attach_policy(mallory, "all", &identity_policy("Allow", &json!("*"), "*")).await;
    let mallory = stage.broker.create_credential(mallory, None).await;
    stage.call_as(&root, "CreateKey", &json!({})).await.members();
    stage.call_as(&alice, "CreateKey", &json!({})).await.members();
    let not_allowed = "because no identity-based policy allows the kms:CreateKey action";
    let refusals = [
        (stage.call_as(&bob, "CreateKey", &json!({})).await.refusal(), not_allowed),
        (stage.client.call("CreateKey", &json!({})).await.refusal(), not_allowed),
        (
            stage.call_as(&mallory, "CreateKey", &json!({})).await.refusal(),
            "because the kms:CreateKey action is not open to callers of another account",
        ),
    ];
    for (refusal, why) in refusals {
        assert!(
            refusal.starts_with("400 AccessDeniedException: User: ") && refusal.ends_with(why),
            "{refusal}"
        );
        assert!(
            refusal.contains(" is not authorized to perform: kms:CreateKey on resource: * "),
            "{refusal}"
        );
    }
    // Tags need a permission of their own.
    let tagged = json!({"Tags": [{"TagKey": "Team", "TagValue": "blue"}]});
    let refusal = stage.call_as(&alice, "CreateKey", &tagged).await.refusal();
    assert!(refusal.contains("kms:TagResource on resource: *"), "{refusal}");
    assert_eq!(
        stage.broker.store().list_keys(None, 10).await.unwrap().len(),
        3,
        "what was refused is not made"
    );
}

#[tokio::test]
async fn conditions_see_what_is_to_be_made() {
    let mut stage = Stage::set().await;
    let alice = stage.broker.create_credential(ALICE, None).await;
    for (operator, key, value, fits, fits_not) in [
        ("StringEquals", "kms:KeyOrigin", json!("EXTERNAL"), json!({"Origin": "EXTERNAL"}), json!({})),
        (
            "StringEquals",
            "kms:KeySpec",
            json!("SYMMETRIC_DEFAULT"),
            json!({}),
            json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}),
        ),
        (
            "Bool",
            "kms:BypassPolicyLockoutSafetyCheck",
            json!(false),
            json!({}),
            json!({"BypassPolicyLockoutSafetyCheck": true}),
        ),
        (
            "StringEquals",
            "aws:RequestTag/Team",
            json!("blue"),
            json!({"Tags": [{"TagKey": "Team", "TagValue": "blue"}]}),
            json!({"Tags": [{"TagKey": "Team", "TagValue": "red"}]}),
        ),
        (
            "ForAllValues:StringEquals",
            "aws:TagKeys",
            json!("Team"),
            json!({"Tags": [{"TagKey": "Team", "TagValue": ""}]}),
            json!({"Tags": [{"TagKey": "Team", "TagValue": ""}, {"TagKey": "Cost", "TagValue": ""}]}),
        ),
    ] {
        let mut policy = identity_policy("Allow", &json!("kms:*"), "*");
        policy["Statement"]["Condition"] = json!({operator: {key: value}});
        stage.broker.attach_policy(ALICE, "own", &policy).await;
        stage.call_as(&alice, "CreateKey", &fits).await.members();
        let refusal = stage.call_as(&alice, "CreateKey", &fits_not).await.refusal();
        assert!(refusal.contains("AccessDeniedException"), "{key}: {refusal}");
    }
}

#[tokio::test]
async fn a_policy_that_locks_its_maker_out_is_taken_only_on_purpose() {
    let (mut stage, alice) = stage_for(json!("kms:CreateKey")).await;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"},
    });
    let members = json!({"Policy": policy.to_string()});
    assert_eq!(
        stage.call_as(&alice, "CreateKey", &members).await.refusal(),
        "400 MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in \
         the future."
    );
    let bypassed = changed(members, json!({"BypassPolicyLockoutSafetyCheck": true}));
    stage.call_as(&alice, "CreateKey", &bypassed).await.members();
    let malformed = stage.call_as(&alice, "CreateKey", &json!({"Policy": "{}"})).await.refusal();
    assert!(malformed.starts_with("400 MalformedPolicyDocumentException: "), "{malformed}");
}

#[tokio::test]
async fn what_there_is_not_is_refused_by_name() {
    let (mut stage, alice) = stage_for(json!("kms:*")).await;
    let tag = |key: &str, value: &str| json!({"TagKey": key, "TagValue": value});
    let many: Vec<Value> = (0..51).map(|number| tag(&number.to_string(), "")).collect();
    for (members, expected) in [
        (json!({"MultiRegion": true}), "UnsupportedOperationException: this broker has no multi-Region keys"),
        (
            json!({"CustomKeyStoreId": "cks-1"}),
            "UnsupportedOperationException: this broker has no custom key stores",
        ),
        (json!({"XksKeyId": "a"}), "UnsupportedOperationException: this broker has no custom key stores"),
        (
            json!({"Origin": "AWS_CLOUDHSM"}),
            "UnsupportedOperationException: this broker has no custom key stores",
        ),
        (
            json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}),
            "UnsupportedOperationException: this broker has no SM2, ML-DSA",
        ),
        (
            json!({"KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY"}),
            "UnsupportedOperationException: this broker has no SM2, ML-DSA",
        ),
        (
            json!({"KeySpec": "AES_256"}),
            "ValidationException: 1 validation error detected: Value 'AES_256' at 'KeySpec'",
        ),
        (
            json!({"CustomerMasterKeySpec": "ML_DSA_44"}),
            "ValidationException: 1 validation error detected: Value 'ML_DSA_44'",
        ),
        (
            json!({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}),
            "ValidationException: You cannot specify KeySpec and",
        ),
        (json!({"KeySpec": "RSA_2048"}), "ValidationException: You must specify a KeyUsage value"),
        (
            json!({"KeyUsage": "SIGN_VERIFY"}),
            "ValidationException: KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        (
            json!({"KeyUsage": "SIGN"}),
            "ValidationException: 1 validation error detected: Value 'SIGN' at 'KeyUsage'",
        ),
        (json!({"Tags": {}}), "SerializationException: Tags must be a list of objects"),
        (
            json!({"Tags": [{"TagKey": "a"}]}),
            "ValidationException: 1 validation error detected: Value 'null' at 'Tags.member.TagValue'",
        ),
        (
            json!({"Tags": [tag("", "")]}),
            "ValidationException: 1 validation error detected: Value '' at 'Tags.member.TagKey'",
        ),
        (
            json!({"Tags": [tag("aws:x", "")]}),
            "TagException: the tag key \"aws:x\" begins with aws:, which is reserved",
        ),
        (json!({"Tags": [tag("a", ""), tag("a", "")]}), "TagException: the tag key \"a\" is repeated"),
        (json!({"Tags": [tag("a", "#")]}), "TagException: the tag \"#\" has another character"),
        (json!({"Tags": many}), "LimitExceededException: a key has at most 50 tags"),
        (json!({"Description": "x".repeat(8193)}), "ValidationException: "),
    ] {
        let refusal = stage.call_as(&alice, "CreateKey", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{members}: {refusal}");
    }
    assert_eq!(stage.broker.store().list_keys(None, 10).await.unwrap().len(), 1);
}
