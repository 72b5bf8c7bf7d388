//! Every member of the three operations, inside and outside the constraints of the service model.

use serde_json::{Value, json};

use super::{Stage, encode};

/// The refusal of a value by a constraint; `value` as it is shown, or nothing.
fn constraint(member: &str, value: &str, rule: &str) -> String {
    let value = if value.is_empty() { String::new() } else { format!("'{value}' ") };
    format!(
        "400 ValidationException: 1 validation error detected: Value {value}at '{member}' failed to satisfy \
         constraint: Member must {rule}"
    )
}

fn wrong_type(member: &str, expected: &str, actual: &str) -> String {
    format!("400 SerializationException: {member} must be {expected}, found {actual}")
}

#[tokio::test]
async fn exactly_one_of_key_spec_and_number_of_bytes() {
    let mut stage = Stage::set().await;
    let one = "400 ValidationException: Please specify either number of bytes or key spec.";
    let specs = "satisfy enum value set: [AES_256, AES_128]";
    for (changes, expected) in [
        (json!({"KeySpec": null}), one.to_owned()),
        (json!({"NumberOfBytes": 32}), one.to_owned()),
        (json!({"KeySpec": "AES_192"}), constraint("KeySpec", "AES_192", specs)),
        (json!({"KeySpec": "aes_256"}), constraint("KeySpec", "aes_256", specs)),
        (json!({"KeySpec": 256}), wrong_type("KeySpec", "a string", "a number")),
        (
            json!({"KeySpec": null, "NumberOfBytes": 0}),
            constraint("NumberOfBytes", "0", "have value greater than or equal to 1"),
        ),
        (
            json!({"KeySpec": null, "NumberOfBytes": -1}),
            constraint("NumberOfBytes", "-1", "have value greater than or equal to 1"),
        ),
        (
            json!({"KeySpec": null, "NumberOfBytes": 1025}),
            constraint("NumberOfBytes", "1025", "have value less than or equal to 1024"),
        ),
        (
            json!({"KeySpec": null, "NumberOfBytes": 100_000}),
            constraint("NumberOfBytes", "100000", "have value less than or equal to 1024"),
        ),
        (
            json!({"KeySpec": null, "NumberOfBytes": 1.5}),
            wrong_type("NumberOfBytes", "an integer", "a number"),
        ),
        (
            json!({"KeySpec": null, "NumberOfBytes": "32"}),
            wrong_type("NumberOfBytes", "an integer", "a string"),
        ),
    ] {
        assert_eq!(stage.generate(changes.clone()).await.refusal(), expected, "{changes}");
        assert_eq!(stage.generate_without_plaintext(changes.clone()).await.refusal(), expected, "{changes}");
    }
}

#[tokio::test]
async fn key_id_is_a_string_of_its_length() {
    let mut stage = Stage::set().await;
    for (key_id, expected) in [
        (Value::Null, constraint("KeyId", "null", "not be null")),
        (
            json!(""),
            constraint("KeyId", "", "have length greater than or equal to 1").replace("Value ", "Value '' "),
        ),
        (
            json!("k".repeat(2049)),
            constraint("KeyId", &"k".repeat(64), "have length less than or equal to 2048"),
        ),
        (json!(7), wrong_type("KeyId", "a string", "a number")),
        (json!(["alias/a"]), wrong_type("KeyId", "a string", "an array")),
        (json!({}), wrong_type("KeyId", "a string", "an object")),
        (json!(true), wrong_type("KeyId", "a string", "a boolean")),
    ] {
        assert_eq!(stage.generate(json!({"KeyId": key_id})).await.refusal(), expected);
    }
    // The longest that the model allows is looked for, and is no key.
    let refusal = stage.generate(json!({"KeyId": "k".repeat(2048)})).await.refusal();
    assert!(refusal.starts_with("400 NotFoundException: Invalid keyId: "), "{refusal}");
}

#[tokio::test]
async fn the_encryption_context_maps_strings_to_strings() {
    let mut stage = Stage::set().await;
    let map = |actual| wrong_type("EncryptionContext", "a map of strings to strings", actual);
    for (context, expected) in [
        (json!([]), map("an array")),
        (json!("a=b"), map("a string")),
        (json!({"a": 1}), map("a number")),
        (json!({"a": null}), map("null")),
        (json!({"a": {"b": "c"}}), map("an object")),
        (
            json!({"k": "v".repeat(8192)}),
            constraint("EncryptionContext", "", "have at most 8192 bytes, found 8193"),
        ),
    ] {
        let changes = json!({"EncryptionContext": context});
        assert_eq!(stage.generate(changes.clone()).await.refusal(), expected);
        assert_eq!(stage.generate_without_plaintext(changes.clone()).await.refusal(), expected);
        assert_eq!(stage.decrypt(&encode(b"x"), changes).await.refusal(), expected);
    }
    for context in [
        json!({}),
        json!({"": ""}),
        json!({"\u{0}": "\u{0}", "é": "日本語", "a b": "\"\\\n"}),
        json!({"k": "v".repeat(8191)}),
    ] {
        let (blob, data_key) = stage.sealed(context.clone()).await;
        let members = stage.decrypt(&blob, json!({"EncryptionContext": context})).await.members();
        assert_eq!(stage.enclave.open(&members), data_key, "{context}");
    }
}

#[tokio::test]
async fn grant_tokens_are_checked_and_none_was_ever_issued() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let not_issued = "400 InvalidGrantTokenException: the grant token at GrantTokens[0] was not issued by this broker, or its grant was retired or revoked";
    for (tokens, expected) in [
        (json!(["token"]), not_issued.to_owned()),
        (json!(vec!["t"; 10]), not_issued.to_owned()),
        (json!(["t".repeat(8192)]), not_issued.to_owned()),
        (json!(vec!["t"; 11]), constraint("GrantTokens", "", "have length less than or equal to 10")),
        (json!([""]), constraint("GrantTokens.member", "", "have length greater than or equal to 1")),
        (
            json!(["t".repeat(8193)]),
            constraint("GrantTokens.member", "", "have length less than or equal to 8192"),
        ),
        (json!([1]), wrong_type("GrantTokens", "a list of strings", "a number")),
        (json!("token"), wrong_type("GrantTokens", "a list of strings", "a string")),
    ] {
        let changes = json!({"GrantTokens": tokens});
        assert_eq!(stage.generate(changes.clone()).await.refusal(), expected);
        assert_eq!(stage.generate_without_plaintext(changes.clone()).await.refusal(), expected);
        assert_eq!(stage.decrypt(&blob, changes).await.refusal(), expected);
    }
    assert_eq!(stage.generate(json!({"GrantTokens": []})).await.members()["KeyId"], stage.key.arn);
}

#[tokio::test]
async fn dry_run_is_a_boolean() {
    let mut stage = Stage::set().await;
    for (value, actual) in [(json!("true"), "a string"), (json!(1), "a number"), (json!([]), "an array")] {
        let changes = json!({"DryRun": value});
        let expected = wrong_type("DryRun", "a boolean", actual);
        assert_eq!(stage.generate(changes.clone()).await.refusal(), expected);
        assert_eq!(stage.decrypt(&encode(b"x"), changes).await.refusal(), expected);
    }
}

#[tokio::test]
async fn the_ciphertext_blob_is_base64_of_its_length() {
    let mut stage = Stage::set().await;
    let base64 = wrong_type("CiphertextBlob", "base64 (RFC 4648 section 4)", "text that is not");
    for (blob, expected) in [
        (Value::Null, constraint("CiphertextBlob", "null", "not be null")),
        (json!(""), constraint("CiphertextBlob", "", "have length greater than or equal to 1")),
        (encode(&[0; 6145]), constraint("CiphertextBlob", "", "have length less than or equal to 6144")),
        (json!("YQ"), base64.clone()),
        (json!("YR=="), base64.clone()),
        (json!("_-8="), base64.clone()),
        (json!(" YQ=="), base64.clone()),
        (json!("YQ==\n"), base64),
        (json!([1, 2, 3]), wrong_type("CiphertextBlob", "base64 text", "an array")),
    ] {
        let changes = json!({"CiphertextBlob": blob});
        assert_eq!(stage.decrypt(&encode(b"x"), changes.clone()).await.refusal(), expected, "{changes}");
    }
}

#[tokio::test]
async fn the_encryption_algorithm_must_be_that_of_the_key() {
    let mut stage = Stage::set().await;
    let (blob, data_key) = stage.sealed(json!({})).await;
    let algorithm = |name: &str| json!({"EncryptionAlgorithm": name});
    let members = stage.decrypt(&blob, algorithm("SYMMETRIC_DEFAULT")).await.members();
    assert_eq!(stage.enclave.open(&members), data_key);
    for name in ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"] {
        let named = json!({"EncryptionAlgorithm": name, "KeyId": stage.key.arn});
        assert_eq!(
            stage.decrypt(&blob, named).await.refusal(),
            format!(
                "400 InvalidKeyUsageException: Algorithm {name} is incompatible with key spec SYMMETRIC_DEFAULT."
            )
        );
        // Such a ciphertext does not say whose it is.
        assert_eq!(
            stage.decrypt(&blob, algorithm(name)).await.refusal(),
            constraint("KeyId", "null", "not be null")
        );
    }
    assert_eq!(
        stage.decrypt(&blob, algorithm("AES_256_GCM")).await.refusal(),
        constraint(
            "EncryptionAlgorithm",
            "AES_256_GCM",
            "satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]"
        )
    );
}

#[tokio::test]
async fn the_recipient_is_whole_or_refused() {
    let mut stage = Stage::set().await;
    let (blob, _) = stage.sealed(json!({})).await;
    let whole = stage.recipient();
    let with = |changes: Value| super::changed(whole.clone(), changes);
    let document = "Recipient.AttestationDocument";
    for (recipient, expected) in [
        (json!("none"), wrong_type("Recipient", "an object", "a string")),
        (json!({}), constraint("Recipient.KeyEncryptionAlgorithm", "null", "not be null")),
        (
            with(json!({"KeyEncryptionAlgorithm": null})),
            constraint("Recipient.KeyEncryptionAlgorithm", "null", "not be null"),
        ),
        (
            with(json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_1"})),
            constraint(
                "Recipient.KeyEncryptionAlgorithm",
                "RSAES_OAEP_SHA_1",
                "satisfy enum value set: [RSAES_OAEP_SHA_256]",
            ),
        ),
        (with(json!({"AttestationDocument": null})), constraint(document, "null", "not be null")),
        (
            with(json!({"AttestationDocument": ""})),
            constraint(document, "", "have length greater than or equal to 1"),
        ),
        (
            with(json!({"AttestationDocument": encode(&vec![0; 262_145])})),
            constraint(document, "", "have length less than or equal to 262144"),
        ),
        (
            with(json!({"AttestationDocument": "not base64"})),
            wrong_type(document, "base64 (RFC 4648 section 4)", "text that is not"),
        ),
        (with(json!({"AttestationDocument": [132]})), wrong_type(document, "base64 text", "an array")),
    ] {
        let changes = json!({"Recipient": recipient});
        assert_eq!(stage.generate(changes.clone()).await.refusal(), expected);
        assert_eq!(stage.decrypt(&blob, changes).await.refusal(), expected);
    }
}

/// What a caller gets who writes `AttestationDocument=fileb://…` for version 1 of the AWS CLI.
#[tokio::test]
async fn a_file_name_in_place_of_the_document_says_what_to_type() {
    let mut stage = Stage::set().await;
    for text in ["fileb://doc.bin", "file:///tmp/doc.bin"] {
        let recipient = json!({
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": encode(text.as_bytes()),
        });
        assert_eq!(
            stage.generate(json!({"Recipient": recipient})).await.refusal(),
            format!(
                "400 ValidationException: Recipient.AttestationDocument holds the text {text:?} instead of a \
                 document: the AWS CLI reads no file in its shorthand syntax with `=`; write --recipient \
                 KeyEncryptionAlgorithm=RSAES_OAEP_SHA_256,AttestationDocument@=fileb://FILE"
            )
        );
    }
}

#[tokio::test]
async fn unknown_members_are_ignored_as_in_aws() {
    let mut stage = Stage::set().await;
    let changes = json!({"Plaintext": "AAAA", "Unknown": {"deep": [1, 2, {"x": null}]}});
    let members = stage.generate(changes).await.members();
    assert_eq!(super::names(&members), ["CiphertextBlob", "CiphertextForRecipient", "KeyId"]);
}
