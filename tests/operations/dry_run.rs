//! DryRun always ends in an error: in DryRunOperationException exactly where the request would have succeeded.

use serde_json::{Value, json};

use super::{Stage, encode, names};
use crate::broker::policy_on_pcr0;

const WOULD_SUCCEED: &str =
    "400 DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

#[tokio::test]
async fn a_dry_run_says_that_the_request_would_have_succeeded() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    for answer in [
        stage.generate(json!({"DryRun": true})).await,
        stage.generate_without_plaintext(json!({"DryRun": true})).await,
        stage.decrypt(&blob, json!({"DryRun": true})).await,
        stage.decrypt(&blob, json!({"DryRun": true, "DryRunModifiers": []})).await,
    ] {
        assert_eq!(answer.refusal(), WOULD_SUCCEED);
        let record = stage.broker.audit_record(answer.request_id());
        assert_eq!(record["additionalEventData"]["decision"]["outcome"], "allowed");
        assert_eq!(record["requestParameters"]["dryRun"], true);
        assert_eq!(record["errorCode"], "DryRunOperationException");
    }
    assert_eq!(names(&stage.generate(json!({"DryRun": false})).await.members()).len(), 3);
}

#[tokio::test]
async fn a_dry_run_fails_as_the_request_would() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({"a": "1"})).await;
    let refusals = [
        (stage.generate(json!({"DryRun": true, "Recipient": null})).await, "ValidationException"),
        (stage.generate(json!({"DryRun": true, "KeyId": "alias/none"})).await, "NotFoundException"),
        (stage.generate(json!({"DryRun": true, "GrantTokens": ["t"]})).await, "InvalidGrantTokenException"),
        (stage.decrypt(&blob, json!({"DryRun": true})).await, "InvalidCiphertextException"),
        (stage.decrypt(&encode(b"none"), json!({"DryRun": true})).await, "InvalidCiphertextException"),
        (
            stage.decrypt(&blob, json!({"DryRun": true, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})).await,
            "ValidationException",
        ),
    ];
    for (answer, expected) in refusals {
        let refusal = answer.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}: ")), "{refusal}");
    }
    stage.broker.set_policy(&stage.key, &policy_on_pcr0(&"ab".repeat(48))).await;
    assert!(
        stage.generate(json!({"DryRun": true})).await.refusal().starts_with("400 AccessDeniedException: ")
    );
    assert!(
        stage
            .decrypt(&blob, json!({"DryRun": true}))
            .await
            .refusal()
            .starts_with("400 AccessDeniedException: ")
    );
}

#[tokio::test]
async fn ignore_ciphertext_asks_about_the_key_alone() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let ignore = json!({"DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"], "KeyId": stage.key.arn});
    let with = |changes: Value| super::changed(ignore.clone(), changes);
    let none = json!(null);

    assert_eq!(stage.decrypt(&none, with(json!({"CiphertextBlob": null}))).await.refusal(), WOULD_SUCCEED);
    // The ciphertext and its context are not looked at when they are there.
    let other_context = with(json!({"EncryptionContext": {"other": "context"}}));
    assert_eq!(stage.decrypt(&blob, other_context).await.refusal(), WOULD_SUCCEED);
    assert_eq!(stage.decrypt(&encode(b"none"), with(json!({}))).await.refusal(), WOULD_SUCCEED);

    assert_eq!(
        stage.decrypt(&none, with(json!({"CiphertextBlob": null, "KeyId": null}))).await.refusal(),
        "400 ValidationException: 1 validation error detected: Value 'null' at 'KeyId' failed to satisfy \
         constraint: Member must not be null"
    );
    assert_eq!(
        stage.decrypt(&blob, with(json!({"DryRun": null}))).await.refusal(),
        "400 ValidationException: DryRunModifiers is only allowed when DryRun is true."
    );
    assert_eq!(
        stage.decrypt(&blob, with(json!({"DryRunModifiers": ["IGNORE_ALL"]}))).await.refusal(),
        "400 ValidationException: 1 validation error detected: Value 'IGNORE_ALL' at 'DryRunModifiers.member' \
         failed to satisfy constraint: Member must satisfy enum value set: [IGNORE_CIPHERTEXT]"
    );
}
