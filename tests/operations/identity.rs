//! Callers with identity policies, over HTTP: what their policies add to the key's, and take from it.

use serde_json::{Value, json};

use super::Stage;
use crate::broker::{ACCOUNT, TestCredential, identity_policy, open_policy};

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
        record["additionalEventData"]["decision"],
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
