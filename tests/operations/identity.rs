//! Callers with identity policies, over HTTP: what their policies add to the key's, and take from it.

use serde_json::{Value, json};

use super::{Stage, changed};
use crate::broker::{ACCOUNT, TestCredential, identity_policy, open_policy, policy};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const WORKER: &str = "arn:aws:iam::111122223333:role/team/worker";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/one";
const STRANGER: &str = "arn:aws:iam::444455556666:user/mallory";

/// A key policy that leaves everything to the identity policies of these accounts.
fn left_to(accounts: &[&str]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": accounts}, "Action": "kms:*", "Resource": "*"},
    })
}

async fn credential(stage: &Stage, principal: &str) -> TestCredential {
    stage.broker.create_credential(principal, None).await
}

#[tokio::test]
async fn a_key_left_to_its_account_is_used_by_whom_an_identity_policy_allows() {
    let mut stage = Stage::set().await;
    stage.broker.set_policy(&stage.key, &left_to(&[ACCOUNT])).await;
    let (alice, session) = (credential(&stage, ALICE).await, credential(&stage, SESSION).await);
    let describe = json!({"KeyId": stage.key.arn});
    let arn = stage.key.arn.clone();
    let refused = |caller: &str, why: &str| {
        format!(
            "400 AccessDeniedException: User: {caller} is not authorized to perform: kms:DescribeKey on resource: {arn} {why}"
        )
    };
    let not_allowed = "because no identity-based policy allows the kms:DescribeKey action";
    let answer = stage.call_as(&alice, "DescribeKey", &describe).await;
    assert_eq!(answer.refusal(), refused(ALICE, not_allowed));
    let record = stage.broker.audit_record(answer.request_id());
    let reasons = json!([
        "the key policy's Statement[0] leaves it to identity policies",
        "no identity policy is attached to the caller",
    ]);
    assert_eq!(record["additionalEventData"]["decision"]["reasons"], reasons);

    stage.broker.attach_policy(ALICE, "read", &identity_policy("Allow", &json!("kms:Describe*"), "*")).await;
    let answer = stage.call_as(&alice, "DescribeKey", &describe).await;
    assert_eq!(answer.members()["KeyMetadata"]["Arn"], stage.key.arn);
    let record = stage.broker.audit_record(answer.request_id());
    assert_eq!(
        crate::broker::ending(&record),
        json!({
            "outcome": "allowed",
            "statement": "Statement[0]",
            "identityStatement": "policy \"read\" Statement[0]",
        })
    );

    // What is attached to a role holds for its sessions.
    assert_eq!(
        stage.call_as(&session, "DescribeKey", &describe).await.refusal(),
        refused(SESSION, not_allowed)
    );
    stage
        .broker
        .attach_policy(WORKER, "read", &identity_policy("Allow", &json!("kms:*"), &stage.key.arn))
        .await;
    stage.call_as(&session, "DescribeKey", &describe).await.members();

    // A deny counts also where the key policy names the caller.
    stage.broker.set_policy(&stage.key, &open_policy()).await;
    stage.broker.attach_policy(ALICE, "stop", &identity_policy("Deny", &json!("kms:*"), "*")).await;
    let denied = "with an explicit deny in an identity-based policy";
    assert_eq!(stage.call_as(&alice, "DescribeKey", &describe).await.refusal(), refused(ALICE, denied));
    stage.client.call("DescribeKey", &describe).await.members();
}

#[tokio::test]
async fn another_account_needs_the_word_of_both_sides() {
    let mut stage = Stage::set().await;
    let mallory = credential(&stage, STRANGER).await;
    let encrypt = json!({"KeyId": stage.key.arn, "Plaintext": "AAAA"});
    let why = |refusal: String| refusal.split_once(" because ").unwrap().1.to_owned();
    let by_identity = "no identity-based policy allows the kms:Encrypt action";
    let by_resource = "no resource-based policy allows the kms:Encrypt action";
    assert_eq!(why(stage.call_as(&mallory, "Encrypt", &encrypt).await.refusal()), by_identity);
    stage.broker.attach_policy(STRANGER, "all", &identity_policy("Allow", &json!("*"), "*")).await;
    stage.call_as(&mallory, "Encrypt", &encrypt).await.members();
    stage.broker.set_policy(&stage.key, &left_to(&[ACCOUNT])).await;
    assert_eq!(why(stage.call_as(&mallory, "Encrypt", &encrypt).await.refusal()), by_resource);
    stage.broker.set_policy(&stage.key, &left_to(&["444455556666"])).await;
    stage.call_as(&mallory, "Encrypt", &encrypt).await.members();

    let policy = json!({"KeyId": stage.key.arn, "Policy": open_policy().to_string()});
    assert_eq!(
        why(stage.call_as(&mallory, "PutKeyPolicy", &policy).await.refusal()),
        "the kms:PutKeyPolicy action is not open to callers of another account"
    );
}

/// Whoever may put a key policy by an identity policy does not lock himself out by leaving the key to his account.
#[tokio::test]
async fn the_lock_out_check_asks_identity_policies_too() {
    let mut stage = Stage::set().await;
    let alice = credential(&stage, ALICE).await;
    let put = json!({"KeyId": stage.key.arn, "Policy": left_to(&[ACCOUNT]).to_string()});
    let refusal = stage.call_as(&alice, "PutKeyPolicy", &put).await.refusal();
    assert!(refusal.starts_with("400 MalformedPolicyDocumentException: The new key policy"), "{refusal}");
    let admin = identity_policy("Allow", &json!("kms:PutKeyPolicy"), "*");
    stage.broker.attach_policy(ALICE, "admin", &admin).await;
    assert_eq!(stage.call_as(&alice, "PutKeyPolicy", &put).await.members(), json!({}));
}

/// Without an ARN, KMS looks in the caller's own account.
#[tokio::test]
async fn another_account_names_a_key_by_its_arn() {
    let mut stage = Stage::set().await;
    stage.broker.create_alias("alias/app", &stage.key).await;
    stage.broker.attach_policy(STRANGER, "all", &identity_policy("Allow", &json!("*"), "*")).await;
    let mallory = credential(&stage, STRANGER).await;
    let id = stage.key.id.to_string();
    let own = |resource: &str| format!("arn:aws:kms:us-east-1:444455556666:{resource}");
    let (no_key, no_alias) = (
        format!("400 NotFoundException: Key '{}' does not exist", own(&format!("key/{id}"))),
        format!("400 NotFoundException: Alias {} does not exist", own("alias/app")),
    );
    let blob = stage.generate_without_plaintext(json!({})).await.members()["CiphertextBlob"].clone();
    let operations = [
        ("DescribeKey", json!({})),
        ("GetKeyRotationStatus", json!({})),
        ("Encrypt", json!({"Plaintext": "AAAA"})),
        ("GenerateDataKey", json!({"KeySpec": "AES_256", "Recipient": stage.recipient()})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyPairSpec": "ECC_NIST_P256"})),
        ("Decrypt", json!({"CiphertextBlob": blob, "Recipient": stage.recipient()})),
        ("ListGrants", json!({})),
        ("CreateGrant", json!({"GranteePrincipal": STRANGER, "Operations": ["Decrypt"]})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": stage.key.arn})),
    ];
    for (operation, more) in operations {
        let member = if operation == "ReEncrypt" { "SourceKeyId" } else { "KeyId" };
        let named = |name: &str| changed(more.clone(), json!({member: name}));
        let (by_id, by_alias, by_arn) = (named(&id), named("alias/app"), named(&stage.key.arn));
        assert_eq!(stage.call_as(&mallory, operation, &by_id).await.refusal(), no_key, "{operation}");
        if !["GetKeyRotationStatus", "ListGrants", "CreateGrant"].contains(&operation) {
            assert_eq!(
                stage.call_as(&mallory, operation, &by_alias).await.refusal(),
                no_alias,
                "{operation}"
            );
            let by_alias_arn = named("arn:aws:kms:us-east-1:111122223333:alias/app");
            stage.call_as(&mallory, operation, &by_alias_arn).await.members();
        }
        stage.call_as(&mallory, operation, &by_arn).await.members();
    }
    for operation in ["GetPublicKey", "Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret"] {
        let members = json!({
            "KeyId": id, "Message": "AAAA", "Signature": "AAAA", "Mac": "AAAA", "PublicKey": "AAAA",
            "SigningAlgorithm": "ECDSA_SHA_256", "MacAlgorithm": "HMAC_SHA_256", "KeyAgreementAlgorithm": "ECDH",
            "Recipient": stage.recipient(),
        });
        assert_eq!(stage.call_as(&mallory, operation, &members).await.refusal(), no_key, "{operation}");
    }
    let destination = json!({"CiphertextBlob": blob, "DestinationKeyId": id});
    assert_eq!(stage.call_as(&mallory, "ReEncrypt", &destination).await.refusal(), no_key);
    // Aliases of another account are out of reach altogether.
    let alias = json!({"AliasName": "alias/app", "TargetKeyId": stage.key.arn});
    for operation in ["UpdateAlias", "DeleteAlias"] {
        assert_eq!(stage.call_as(&mallory, operation, &alias).await.refusal(), no_alias, "{operation}");
    }
}

/// What KMS does not open to other accounts is refused although both sides allow everything.
#[tokio::test]
async fn another_account_looks_after_no_key() {
    let mut stage = Stage::set().await;
    stage.broker.attach_policy(STRANGER, "all", &identity_policy("Allow", &json!("*"), "*")).await;
    let mallory = credential(&stage, STRANGER).await;
    for (operation, more) in [
        ("CancelKeyDeletion", json!({})),
        ("CreateAlias", json!({"AliasName": "alias/new", "TargetKeyId": stage.key.arn})),
        ("DeleteImportedKeyMaterial", json!({})),
        ("DisableKey", json!({})),
        ("DisableKeyRotation", json!({})),
        ("EnableKey", json!({})),
        ("EnableKeyRotation", json!({})),
        ("GetKeyPolicy", json!({})),
        ("ListKeyPolicies", json!({})),
        ("ListKeyRotations", json!({})),
        ("ListResourceTags", json!({})),
        ("PutKeyPolicy", json!({"Policy": open_policy().to_string()})),
        ("RotateKeyOnDemand", json!({})),
        ("ScheduleKeyDeletion", json!({})),
        ("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
        ("UpdateKeyDescription", json!({"Description": "mine"})),
    ] {
        let members = changed(json!({"KeyId": stage.key.arn}), more);
        let refusal = stage.call_as(&mallory, operation, &members).await.refusal();
        let expected =
            format!("because the kms:{operation} action is not open to callers of another account");
        assert!(refusal.ends_with(&expected), "{operation}: {refusal}");
    }
}

#[tokio::test]
async fn identity_policies_speak_of_aliases() {
    let mut stage = Stage::set().await;
    let alice = credential(&stage, ALICE).await;
    let arn = stage.key.arn.clone();
    let create = |name: &str| json!({"AliasName": format!("alias/{name}"), "TargetKeyId": arn});
    let (own, other, third) = (create("alice/app"), create("bob/app"), create("alice/third"));
    // The key's policy names everybody: that is enough, unless a policy denies the alias.
    stage.call_as(&alice, "CreateAlias", &create("open")).await.members();
    let deny = identity_policy("Deny", &json!("kms:DeleteAlias"), "arn:aws:kms:*:*:alias/open");
    stage.broker.attach_policy(ALICE, "deny", &deny).await;
    let refusal = stage.call_as(&alice, "DeleteAlias", &json!({"AliasName": "alias/open"})).await.refusal();
    let denied = "kms:DeleteAlias on resource: arn:aws:kms:us-east-1:111122223333:alias/open with an explicit deny in an identity-based policy";
    assert!(refusal.ends_with(denied), "{refusal}");

    // It leaves the key to the account: a policy must allow it on the key and on the alias.
    stage.broker.set_policy(&stage.key, &left_to(&[ACCOUNT])).await;
    stage.broker.attach_policy(ALICE, "key", &identity_policy("Allow", &json!("kms:*Alias"), &arn)).await;
    let refusal = stage.call_as(&alice, "CreateAlias", &own).await.refusal();
    let not_allowed = "kms:CreateAlias on resource: arn:aws:kms:us-east-1:111122223333:alias/alice/app because no identity-based policy allows the kms:CreateAlias action";
    assert!(refusal.ends_with(not_allowed), "{refusal}");
    let aliases = identity_policy("Allow", &json!("kms:*Alias"), "arn:aws:kms:*:*:alias/${aws:username}/*");
    stage.broker.attach_policy(ALICE, "aliases", &aliases).await;
    let answer = stage.call_as(&alice, "CreateAlias", &own).await;
    assert_eq!(answer.members(), json!({}));
    let decision = &stage.broker.audit_record(answer.request_id())["additionalEventData"]["decision"];
    assert_eq!(decision["identityStatement"], "policy \"key\" Statement[0]");
    assert_eq!(decision["aliasIdentityStatement"], "policy \"aliases\" Statement[0]");
    for (operation, members) in [("CreateAlias", &other), ("UpdateAlias", &create("open"))] {
        let refusal = stage.call_as(&alice, operation, members).await.refusal();
        assert!(
            refusal
                .contains(&format!("kms:{operation} on resource: arn:aws:kms:us-east-1:111122223333:alias/")),
            "{refusal}"
        );
    }
    for (operation, members) in [
        ("UpdateAlias", &own),
        ("DeleteAlias", &json!({"AliasName": "alias/alice/app"})),
        ("CreateAlias", &third),
    ] {
        stage.call_as(&alice, operation, members).await.members();
    }
}

#[tokio::test]
async fn random_bytes_may_be_denied() {
    let mut stage = Stage::set().await;
    let alice = credential(&stage, ALICE).await;
    let random = json!({"NumberOfBytes": 8, "Recipient": stage.recipient()});
    stage.call_as(&alice, "GenerateRandom", &random).await.members();
    stage
        .broker
        .attach_policy(ALICE, "deny", &identity_policy("Deny", &json!("kms:GenerateRandom"), "*"))
        .await;
    assert_eq!(
        stage.call_as(&alice, "GenerateRandom", &random).await.refusal(),
        format!(
            "400 AccessDeniedException: User: {ALICE} is not authorized to perform: kms:GenerateRandom on resource: * \
             with an explicit deny in an identity-based policy"
        )
    );
    stage.client.call("GenerateRandom", &random).await.members();
}

/// Parameters that have a condition key: what a key's policy sees of the request.
#[tokio::test]
async fn conditions_see_the_parameters_of_management() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&open_policy()).await;
    let blob = stage.generate_without_plaintext(json!({})).await.members()["CiphertextBlob"].clone();
    let put = json!({"Policy": open_policy().to_string()});
    let parameters = json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let import = json!({"ImportToken": "AAAA", "EncryptedKeyMaterial": "AAAA", "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
    let dry = json!({"CiphertextBlob": blob, "DestinationKeyId": stage.key.arn, "DryRun": true});
    for (operation, members, changes, condition) in [
        (
            "EnableKeyRotation",
            json!({"RotationPeriodInDays": 180}),
            json!({"RotationPeriodInDays": 179}),
            json!({"NumericGreaterThanEquals": {"kms:RotationPeriodInDays": "180"}}),
        ),
        (
            "ScheduleKeyDeletion",
            json!({}),
            json!({"PendingWindowInDays": 7}),
            json!({"NumericEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": 30}}),
        ),
        (
            "PutKeyPolicy",
            put,
            json!({"BypassPolicyLockoutSafetyCheck": true}),
            json!({"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "false"}}),
        ),
        (
            "GetParametersForImport",
            parameters,
            json!({"WrappingKeySpec": "RSA_4096"}),
            json!({"StringEquals": {"kms:WrappingKeySpec": "RSA_2048", "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256"}}),
        ),
        (
            "ImportKeyMaterial",
            import,
            json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": 1_799_999_999}),
            json!({"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}, "Null": {"kms:ValidTo": "true"}}),
        ),
        (
            "ReEncrypt",
            dry,
            json!({"DestinationKeyId": other.arn}),
            json!({"Bool": {"kms:ReEncryptOnSameKey": "true"}}),
        ),
    ] {
        stage.broker.set_policy(&stage.key, &policy(&condition)).await;
        let members = changed(json!({"KeyId": stage.key.arn}), members);
        let refused = changed(members.clone(), changes);
        let refusal = stage.client.call(operation, &refused).await.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{operation}: {refusal}");
        let answer = stage.client.call(operation, &members).await;
        assert!(
            answer.status == 200 || !answer.refusal().contains("AccessDenied"),
            "{operation}: {}",
            answer.refusal()
        );
        stage.broker.set_policy(&stage.key, &open_policy()).await;
        if operation == "ScheduleKeyDeletion" {
            stage.client.call("CancelKeyDeletion", &members).await.members();
            stage.client.call("EnableKey", &members).await.members();
        }
    }
}

/// What is known of the sender reaches the conditions.
#[tokio::test]
async fn conditions_see_the_sender() {
    let mut stage = Stage::set().await;
    let condition = json!({
        "StringEquals": {"aws:UserAgent": "tester/1", "aws:RequestedRegion": "us-east-1", "aws:ResourceAccount": ACCOUNT},
    });
    stage.broker.set_policy(&stage.key, &policy(&condition)).await;
    let body = json!({"KeyId": stage.key.arn}).to_string();
    let refusal = stage.client.post("DescribeKey", body.clone()).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
    let mut request = crate::broker::client::request("DescribeKey", body);
    request.headers_mut().insert("user-agent", "tester/1".parse().unwrap());
    stage.client.send(request).await.members();
}
