//! Ciphertexts, contexts, aliases and stored material in the wrong place.

use serde_json::json;

use super::{Stage, decode, encode};
use crate::broker::open_policy;

const DOES_NOT_OPEN: &str = "400 InvalidCiphertextException: the CiphertextBlob does not open: it was altered or \
                             the encryption context differs";
const UNKNOWN_TO_BROKER: &str = "400 InvalidCiphertextException: the CiphertextBlob names a key or key material \
                                 that this broker does not hold";
const INTERNAL: &str = "500 KMSInternalException: The request failed inside the broker; its log says why.";

#[tokio::test]
async fn the_encryption_context_must_be_the_one_of_sealing() {
    let mut stage = Stage::set().await;
    let context = json!({"tenant": "a", "purpose": "Größe"});
    let (blob, data_key) = stage.sealed(context.clone()).await;
    let decrypted = stage.decrypt(&blob, json!({"EncryptionContext": context})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), data_key);
    for other in [
        json!({}),
        json!({"tenant": "a"}),
        json!({"tenant": "b", "purpose": "Größe"}),
        json!({"Tenant": "a", "purpose": "Größe"}),
        json!({"tenant": "Größe", "purpose": "a"}),
        json!({"tenant": "a", "purpose": "Größe", "more": ""}),
        json!({"tenant": "a", "purpose": "Gro\u{308}ße"}),
    ] {
        let answer = stage.decrypt(&blob, json!({"EncryptionContext": other})).await;
        assert_eq!(answer.refusal(), DOES_NOT_OPEN, "{other}");
    }
    // The same pairs in another order of writing are the same context.
    let body = format!(
        r#"{{"CiphertextBlob":{blob},"Recipient":{},"EncryptionContext":{{"purpose":"Gr\u00f6\u00dfe","tenant":"a"}}}}"#,
        stage.recipient()
    );
    let decrypted = stage.client.post("Decrypt", body).await.members();
    assert_eq!(stage.enclave.open(&decrypted), data_key);
}

#[tokio::test]
async fn a_ciphertext_of_another_key_is_told_apart() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&open_policy()).await;
    let (blob, data_key) = stage.sealed(json!({})).await;
    assert_eq!(
        stage.decrypt(&blob, json!({"KeyId": other.arn})).await.refusal(),
        format!(
            "400 IncorrectKeyException: the CiphertextBlob was not sealed under {}, the key that the request names",
            other.arn
        )
    );
    let named = stage.decrypt(&blob, json!({"KeyId": stage.key.arn})).await.members();
    assert_eq!(stage.enclave.open(&named), data_key);
}

#[tokio::test]
async fn a_ciphertext_moved_to_another_key_does_not_open() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&open_policy()).await;
    let (blob, _) = stage.sealed(json!({})).await;
    let (mut moved, mut half_moved) = (decode(&blob), decode(&blob));
    moved[1..17].copy_from_slice(other.id.as_bytes());
    half_moved[1..17].copy_from_slice(other.id.as_bytes());
    moved[17..49].copy_from_slice(&other.material_id);
    assert_eq!(stage.decrypt(&encode(&moved), json!({})).await.refusal(), DOES_NOT_OPEN);
    assert_eq!(stage.decrypt(&encode(&moved), json!({"KeyId": other.arn})).await.refusal(), DOES_NOT_OPEN);
    assert_eq!(stage.decrypt(&encode(&half_moved), json!({})).await.refusal(), UNKNOWN_TO_BROKER);

    let mut unknown_key = decode(&blob);
    unknown_key[1] ^= 1;
    assert_eq!(stage.decrypt(&encode(&unknown_key), json!({})).await.refusal(), UNKNOWN_TO_BROKER);
}

#[tokio::test]
async fn a_ciphertext_of_another_broker_is_unknown() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let mut elsewhere = Stage::set().await;
    assert_eq!(elsewhere.decrypt(&blob, json!({})).await.refusal(), UNKNOWN_TO_BROKER);
}

#[tokio::test]
async fn what_is_no_ciphertext_of_this_broker_is_refused_by_its_form() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let blob = decode(&blob);
    let length = |actual: usize| {
        format!("400 InvalidCiphertextException: a CiphertextBlob has 82 to 6144 bytes, found {actual}")
    };
    assert_eq!(stage.decrypt(&encode(&[1]), json!({})).await.refusal(), length(1));
    assert_eq!(stage.decrypt(&encode(&blob[..81]), json!({})).await.refusal(), length(81));
    assert_eq!(stage.decrypt(&encode(&blob[..82]), json!({})).await.refusal(), DOES_NOT_OPEN);
    assert_eq!(stage.decrypt(&encode(&blob[..blob.len() - 1]), json!({})).await.refusal(), DOES_NOT_OPEN);
    assert_eq!(stage.decrypt(&encode(&[&blob[..], &[0]].concat()), json!({})).await.refusal(), DOES_NOT_OPEN);
    for version in [0, 2, 0xff] {
        let other = [&[version], &blob[1..]].concat();
        assert_eq!(
            stage.decrypt(&encode(&other), json!({})).await.refusal(),
            format!("400 InvalidCiphertextException: expected CiphertextBlob version 1, found {version}")
        );
    }
}

/// The wrapped-key swap: whoever can write the database gives one key the material of another.
#[tokio::test]
async fn material_swapped_between_keys_in_the_database_releases_nothing() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&open_policy()).await;
    let (blob, _) = stage.sealed(json!({})).await;
    let mut database = stage.broker.database().await;
    let (one, two) = (stage.key.id, other.id);
    // Ids and wrapped bytes change places together, so every row is whole.
    database
        .execute(&format!(
            "UPDATE key_materials SET version = 2, key_id = CASE key_id WHEN '{one}' THEN '{two}' ELSE '{one}' END"
        ))
        .await;

    for answer in [
        stage.generate(json!({})).await,
        stage.generate_without_plaintext(json!({})).await,
        stage.generate(json!({"KeyId": other.arn})).await,
    ] {
        assert_eq!(answer.refusal(), INTERNAL);
        let record = stage.broker.audit_record(answer.request_id());
        assert_eq!(record["additionalEventData"]["decision"]["outcome"], "failed");
    }
    assert_eq!(stage.decrypt(&blob, json!({})).await.refusal(), UNKNOWN_TO_BROKER);

    // And with the ids left where they were, only the wrapped bytes swapped.
    let mut fresh = Stage::set().await;
    let other = fresh.broker.create_key(&open_policy()).await;
    let (blob, _) = fresh.sealed(json!({})).await;
    fresh
        .broker
        .database()
        .await
        .execute(&format!(
            "UPDATE key_materials SET wrapped = (SELECT wrapped FROM key_materials WHERE key_id = '{}') \
             WHERE key_id = '{}'",
            other.id, fresh.key.id
        ))
        .await;
    assert_eq!(fresh.decrypt(&blob, json!({})).await.refusal(), INTERNAL);
    assert_eq!(fresh.generate(json!({})).await.refusal(), INTERNAL);
}

#[tokio::test]
async fn one_bit_of_wrapped_material_in_the_database_releases_nothing() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let wrapped = stage.broker.wrap_material(stage.key.id, stage.key.material_id, &stage.key.material).await;
    for position in [0, 1, 12, 13, wrapped.len() - 1] {
        let mut altered = wrapped.clone();
        altered[position] ^= 0x10;
        let altered = hex::encode(altered);
        stage
            .broker
            .database()
            .await
            .execute(&format!("UPDATE key_materials SET wrapped = x'{altered}'"))
            .await;
        assert_eq!(stage.decrypt(&blob, json!({})).await.refusal(), INTERNAL, "byte {position}");
    }
}

#[tokio::test]
async fn an_alias_means_its_key_and_no_other() {
    let mut stage = Stage::set().await;
    let other = stage.broker.create_key(&open_policy()).await;
    stage.broker.create_alias("alias/app", &stage.key).await;
    stage.broker.create_alias("alias/App", &other).await;
    let alias_arn = "arn:aws:kms:us-east-1:111122223333:alias/app";
    let (blob, data_key) = stage.sealed(json!({})).await;
    for key_id in
        [stage.key.id.to_string(), stage.key.arn.clone(), "alias/app".to_owned(), alias_arn.to_owned()]
    {
        let members = stage.generate(json!({"KeyId": key_id})).await.members();
        assert_eq!(members["KeyId"], stage.key.arn, "named as {key_id}");
        let members = stage.decrypt(&blob, json!({"KeyId": key_id})).await.members();
        assert_eq!(stage.enclave.open(&members), data_key);
    }
    assert_eq!(stage.generate(json!({"KeyId": "alias/App"})).await.members()["KeyId"], other.arn);
    assert_eq!(
        stage.decrypt(&blob, json!({"KeyId": "alias/App"})).await.refusal(),
        format!(
            "400 IncorrectKeyException: the CiphertextBlob was not sealed under {}, the key that the request names",
            other.arn
        )
    );

    // An alias that is moved by another process means its new key from the next request on.
    let moved = format!("UPDATE aliases SET key_id = '{}' WHERE name = 'alias/app'", other.id);
    stage.broker.database().await.execute(&moved).await;
    assert_eq!(stage.generate(json!({"KeyId": "alias/app"})).await.members()["KeyId"], other.arn);
    assert!(
        stage.decrypt(&blob, json!({"KeyId": alias_arn})).await.refusal().contains("IncorrectKeyException")
    );
}

#[tokio::test]
async fn a_key_that_is_not_here_is_not_found() {
    let mut stage = Stage::set().await;
    let id = "0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
    let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{id}");
    let key = format!("400 NotFoundException: Key '{arn}' does not exist");
    let alias = "400 NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/none does not exist";
    let elsewhere = |part: &str, expected: &str, actual: &str| {
        format!(
            "400 NotFoundException: Invalid keyId: the ARN names {part} {actual:?}, this broker serves {expected:?}"
        )
    };
    let malformed = |text: &str| {
        format!(
            "400 NotFoundException: Invalid keyId: {text:?} is no key id, key ARN, alias name or alias ARN"
        )
    };
    for (key_id, expected) in [
        (id, key.clone()),
        (arn.as_str(), key),
        ("alias/none", alias.to_owned()),
        ("arn:aws:kms:us-east-1:111122223333:alias/none", alias.to_owned()),
        (&arn.replace("us-east-1", "eu-west-1"), elsewhere("region", "us-east-1", "eu-west-1")),
        (&arn.replace("111122223333", "444455556666"), elsewhere("account", "111122223333", "444455556666")),
        (&arn.replace("aws:kms", "aws-cn:kms"), elsewhere("partition", "aws", "aws-cn")),
        (&arn.replace("kms:", "s3:"), elsewhere("service", "kms", "s3")),
        (&id.to_uppercase(), malformed(&id.to_uppercase())),
        ("alias/aws/ebs", malformed("alias/aws/ebs")),
        ("' OR 1=1 --", malformed("' OR 1=1 --")),
        ("\u{0}", malformed("\u{0}")),
    ] {
        assert_eq!(stage.generate(json!({"KeyId": key_id})).await.refusal(), expected);
        let (blob, _) = stage.sealed(json!({})).await;
        assert_eq!(stage.decrypt(&blob, json!({"KeyId": key_id})).await.refusal(), expected);
    }
}

#[tokio::test]
async fn a_key_that_is_switched_off_is_not_used() {
    let mut stage = Stage::set().await;
    let (blob, data_key) = stage.sealed(json!({})).await;
    let arn = stage.key.arn.clone();
    for (state, expected) in [
        ("Disabled", format!("400 DisabledException: {arn} is disabled.")),
        ("PendingDeletion", format!("400 KMSInvalidStateException: {arn} is pending deletion.")),
    ] {
        stage.broker.database().await.execute(&format!("UPDATE keys SET state = '{state}'")).await;
        for answer in [
            stage.generate(json!({})).await,
            stage.generate_without_plaintext(json!({})).await,
            stage.decrypt(&blob, json!({})).await,
            stage.decrypt(&blob, json!({"KeyId": arn, "DryRun": true})).await,
        ] {
            assert_eq!(answer.refusal(), expected);
            let record = stage.broker.audit_record(answer.request_id());
            assert_eq!(record["resources"][0]["ARN"], arn);
            assert_eq!(record["additionalEventData"]["decision"]["outcome"], "denied");
        }
    }
    stage.broker.database().await.execute("UPDATE keys SET state = 'Enabled'").await;
    let decrypted = stage.decrypt(&blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&decrypted), data_key);
}
