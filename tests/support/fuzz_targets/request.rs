//! Request bodies: JSON, and the members of each operation.

use nitro_key_broker::json::{Json, JsonError};
use nitro_key_broker::keys::{AliasName, KeyIdentifier, Realm};
use nitro_key_broker::operations::{
    CancelKeyDeletion, ConnectCustomKeyStore, CreateAlias, CreateCustomKeyStore, CreateGrant, Decapsulate,
    Decrypt, DeleteAlias, DeleteCustomKeyStore, DeleteImportedKeyMaterial, DeriveSharedSecret,
    DescribeCustomKeyStores, DescribeKey, DisableKey, DisableKeyRotation, DisconnectCustomKeyStore,
    EnableKey, EnableKeyRotation, Encapsulate, Encrypt, GenerateDataKey, GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext, GenerateDataKeyWithoutPlaintext, GenerateMac, GenerateRandom,
    GetKeyLastUsage, GetKeyPolicy, GetKeyRotationStatus, GetParametersForImport, GetPublicKey,
    ImportKeyMaterial, ListGrants, ListKeyPolicies, ListKeyRotations, ListRetirableGrants, Members,
    Operation, PutKeyPolicy, ReEncrypt, ReplicateKey, RetireGrant, RevokeGrant, RotateKeyOnDemand,
    ScheduleKeyDeletion, Sign, UpdateAlias, UpdateCustomKeyStore, UpdateKeyDescription, UpdatePrimaryRegion,
    Verify, VerifyMac,
};
use serde_json::Value;

pub fn run(input: &[u8]) {
    let peer = serde_json::from_slice::<Value>(input);
    match Json::parse(input) {
        Ok(json) => {
            let peer = peer.expect("what is accepted is JSON to serde_json too");
            assert!(is_same(&json, &peer), "{json:?}\n{peer:?}");
            // Neither white space nor the order of members matters.
            let other_form = Json::parse(&serde_json::to_vec(&peer).unwrap()).unwrap();
            check_operation::<CancelKeyDeletion>(&json, &other_form);
            check_operation::<ConnectCustomKeyStore>(&json, &other_form);
            check_operation::<CreateAlias>(&json, &other_form);
            check_operation::<CreateCustomKeyStore>(&json, &other_form);
            check_operation::<CreateGrant>(&json, &other_form);
            check_operation::<Decapsulate>(&json, &other_form);
            check_operation::<Decrypt>(&json, &other_form);
            check_operation::<DeleteAlias>(&json, &other_form);
            check_operation::<DeleteCustomKeyStore>(&json, &other_form);
            check_operation::<DeleteImportedKeyMaterial>(&json, &other_form);
            check_operation::<DeriveSharedSecret>(&json, &other_form);
            check_operation::<DescribeCustomKeyStores>(&json, &other_form);
            check_operation::<DescribeKey>(&json, &other_form);
            check_operation::<DisableKey>(&json, &other_form);
            check_operation::<DisableKeyRotation>(&json, &other_form);
            check_operation::<DisconnectCustomKeyStore>(&json, &other_form);
            check_operation::<EnableKey>(&json, &other_form);
            check_operation::<EnableKeyRotation>(&json, &other_form);
            check_operation::<Encapsulate>(&json, &other_form);
            check_operation::<Encrypt>(&json, &other_form);
            check_operation::<GenerateDataKey>(&json, &other_form);
            check_operation::<GenerateDataKeyPair>(&json, &other_form);
            check_operation::<GenerateDataKeyPairWithoutPlaintext>(&json, &other_form);
            check_operation::<GenerateDataKeyWithoutPlaintext>(&json, &other_form);
            check_operation::<GenerateMac>(&json, &other_form);
            check_operation::<GenerateRandom>(&json, &other_form);
            check_operation::<GetKeyLastUsage>(&json, &other_form);
            check_operation::<GetKeyPolicy>(&json, &other_form);
            check_operation::<GetKeyRotationStatus>(&json, &other_form);
            check_operation::<GetParametersForImport>(&json, &other_form);
            check_operation::<GetPublicKey>(&json, &other_form);
            check_operation::<ImportKeyMaterial>(&json, &other_form);
            check_operation::<ListGrants>(&json, &other_form);
            check_operation::<ListKeyPolicies>(&json, &other_form);
            check_operation::<ListKeyRotations>(&json, &other_form);
            check_operation::<ListRetirableGrants>(&json, &other_form);
            check_operation::<PutKeyPolicy>(&json, &other_form);
            check_operation::<ReEncrypt>(&json, &other_form);
            check_operation::<ReplicateKey>(&json, &other_form);
            check_operation::<RetireGrant>(&json, &other_form);
            check_operation::<RevokeGrant>(&json, &other_form);
            check_operation::<RotateKeyOnDemand>(&json, &other_form);
            check_operation::<ScheduleKeyDeletion>(&json, &other_form);
            check_operation::<Sign>(&json, &other_form);
            check_operation::<UpdateAlias>(&json, &other_form);
            check_operation::<UpdateCustomKeyStore>(&json, &other_form);
            check_operation::<UpdateKeyDescription>(&json, &other_form);
            check_operation::<UpdatePrimaryRegion>(&json, &other_form);
            check_operation::<Verify>(&json, &other_form);
            check_operation::<VerifyMac>(&json, &other_form);
        }
        Err(JsonError::Syntax { .. }) => assert!(peer.is_err(), "serde_json reads what is refused as syntax"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_operation<O: Operation>(json: &Json, other_form: &Json) {
    let parse = |json| Members::of_request(json).and_then(|members| O::parse(&members));
    match (parse(json), parse(other_form)) {
        (Ok(operation), Ok(other)) => {
            let parameters = operation.audit_parameters();
            assert_eq!(parameters, other.audit_parameters());
            if let Some(key_id) = parameters.get("keyId").and_then(Value::as_str) {
                check_key_id(key_id);
            }
        }
        // Among several faults another may be found first.
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        (one, other) => panic!("{} in one form only: {:?} {:?}", O::NAME, one.err(), other.err()),
    }
}

/// What names a key is named by its ARN too.
fn check_key_id(text: &str) {
    let realm = Realm::new("us-east-1", "111122223333").unwrap();
    let Ok(identifier) = KeyIdentifier::parse(text, &realm) else { return };
    let arn = match &identifier {
        KeyIdentifier::Key(id) => realm.key_arn(*id).to_string(),
        KeyIdentifier::Alias(name) => {
            assert_eq!(AliasName::parse(name.as_str()).as_ref(), Ok(name));
            realm.alias_arn(name)
        }
    };
    assert_eq!(KeyIdentifier::parse(&arn, &realm), Ok(identifier));
}

fn is_same(json: &Json, peer: &Value) -> bool {
    match (json, peer) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(one), Value::Bool(other)) => one == other,
        (Json::Integer(one), Value::Number(other)) => other.as_i64() == Some(*one),
        (Json::OtherNumber(_), Value::Number(other)) => other.as_i64().is_none(),
        (Json::String(one), Value::String(other)) => one == other,
        (Json::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Json::Object(one), Value::Object(other)) => {
            let same =
                |(name, value): &(String, Json)| other.get(name).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => false,
    }
}
