//! What this broker has not, and says so once the request is well-formed.

use serde_json::{Value, json};

use super::Stage;

const CUSTOM_KEY_STORES: &str = "400 UnsupportedOperationException: this broker has no custom key stores: its keys lie in \
                                 its own store";
const MULTI_REGION_KEYS: &str = "400 UnsupportedOperationException: this broker has no multi-Region keys: it lives in one \
                                 region";

#[tokio::test]
async fn custom_key_stores_and_multi_region_keys_are_refused_by_name() {
    let mut stage = Stage::set().await;
    let proxy = json!({
        "CustomKeyStoreId": "cks-1",
        "CustomKeyStoreName": "store",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://xks.example",
        "XksProxyUriPath": "/kms/xks/v1",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyAuthenticationCredential": {"AccessKeyId": "A".repeat(20), "RawSecretAccessKey": "s".repeat(43)},
    });
    for operation in [
        "ConnectCustomKeyStore",
        "CreateCustomKeyStore",
        "DeleteCustomKeyStore",
        "DescribeCustomKeyStores",
        "DisconnectCustomKeyStore",
        "UpdateCustomKeyStore",
    ] {
        assert_eq!(stage.client.call(operation, &proxy).await.refusal(), CUSTOM_KEY_STORES, "{operation}");
    }
    let replica = json!({"KeyId": stage.key.arn, "ReplicaRegion": "eu-west-1", "PrimaryRegion": "eu-west-1"});
    for operation in ["ReplicateKey", "UpdatePrimaryRegion"] {
        assert_eq!(stage.client.call(operation, &replica).await.refusal(), MULTI_REGION_KEYS, "{operation}");
    }
}

#[tokio::test]
async fn their_members_are_checked_and_secrets_are_not_shown() {
    let mut stage = Stage::set().await;
    let secret = "hunter";
    let credential = |id: &str, key: &str| json!({"AccessKeyId": id, "RawSecretAccessKey": key});
    let good = ("A".repeat(20), "s".repeat(43));
    let cases: [(&str, Value, &str); 7] = [
        ("ReplicateKey", json!({"KeyId": stage.key.arn, "ReplicaRegion": "mars"}), "'ReplicaRegion'"),
        ("ReplicateKey", json!({"KeyId": stage.key.arn}), "'ReplicaRegion'"),
        ("ConnectCustomKeyStore", json!({}), "'CustomKeyStoreId'"),
        (
            "CreateCustomKeyStore",
            json!({"CustomKeyStoreName": "s", "KeyStorePassword": secret}),
            "'KeyStorePassword'",
        ),
        (
            "CreateCustomKeyStore",
            json!({"CustomKeyStoreName": "s", "XksProxyAuthenticationCredential": credential(&good.0, secret)}),
            "'XksProxyAuthenticationCredential.RawSecretAccessKey'",
        ),
        (
            "UpdateCustomKeyStore",
            json!({"CustomKeyStoreId": "s", "XksProxyAuthenticationCredential": credential("hunterhunterhunterhunter", &good.1)}),
            "'XksProxyAuthenticationCredential.AccessKeyId'",
        ),
        ("DescribeCustomKeyStores", json!({"Limit": 0}), "'Limit'"),
    ];
    for (operation, request, member) in cases {
        let refusal = stage.client.call(operation, &request).await.refusal();
        assert!(
            refusal.starts_with("400 ValidationException: ") && refusal.contains(member),
            "{operation}: {refusal}"
        );
        assert!(!refusal.contains(secret), "{refusal}");
    }
}
