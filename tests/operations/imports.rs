//! Key material from elsewhere: in, out of time, gone, and in again.

use std::time::Duration;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use nitro_key_broker::keys::{KeyIdentifier, KeyKind, KeyOrigin, KeySpec, KeyUsage};
use nitro_key_broker::operations::NewKey;
use nitro_key_broker::store::KeyStore as _;
use nitro_key_broker::time::UnixTime;

use rsa::PublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use serde_json::{Value, json};
use sha2::digest::{Digest, FixedOutputReset};

use super::{Stage, changed, decode, encode, openssl};
use crate::broker::{NOW, TestKey, open_policy, parse_policy};

const DAY: Duration = Duration::from_secs(86_400);

impl Stage {
    /// Makes the stage's key one without material.
    async fn set_without_material() -> Self {
        Self::set_without_material_of(KeyKind::SYMMETRIC).await
    }

    async fn set_without_material_of(kind: KeyKind) -> Self {
        let mut stage = Self::set().await;
        let new_key = NewKey {
            description: String::new(),
            origin: KeyOrigin::External,
            policy: parse_policy(&open_policy()),
            kind,
        };
        let key = new_key.make(stage.broker.realm(), stage.broker.root_key(), NOW).await.unwrap();
        stage.broker.store().insert_key(&key).await.unwrap();
        stage.key = TestKey { id: key.id, arn: key.arn.to_string(), ..stage.key };
        stage
    }

    async fn parameters(&mut self, algorithm: &str, spec: &str) -> Value {
        let members = json!({"KeyId": self.key.arn, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        self.client.call("GetParametersForImport", &members).await.members()
    }

    /// Imports `material` for good; `changes` are laid over the members.
    async fn import(&mut self, material: &[u8], changes: Value) -> super::Answer {
        let parameters = self.parameters("RSAES_OAEP_SHA_256", "RSA_2048").await;
        let members = json!({
            "KeyId": self.key.arn,
            "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": encode(&oaep::<sha2::Sha256>(&parameters, material)),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        });
        self.client.call("ImportKeyMaterial", &changed(members, changes)).await
    }

    /// As [`Stage::import`] for what is longer than RSA takes: under an AES key.
    async fn import_key_pair(&mut self, private_key: &[u8]) -> super::Answer {
        let parameters = self.parameters("RSA_AES_KEY_WRAP_SHA_256", "RSA_2048").await;
        let encrypted = key_wrap(|plaintext| oaep::<sha2::Sha256>(&parameters, plaintext), private_key);
        let members = json!({
            "KeyId": self.key.arn,
            "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": encode(&encrypted),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        });
        self.client.call("ImportKeyMaterial", &members).await
    }

    async fn metadata(&mut self) -> Value {
        let members = json!({"KeyId": self.key.arn});
        self.client.call("DescribeKey", &members).await.members()["KeyMetadata"].take()
    }

    async fn all_material(&mut self) -> Value {
        let members = json!({"KeyId": self.key.arn, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        self.client.call("ListKeyRotations", &members).await.members()["Rotations"].take()
    }
}

/// The AES key under RSA, the material under the AES key.
fn key_wrap(encrypt: impl Fn(&[u8]) -> Vec<u8>, material: &[u8]) -> Vec<u8> {
    let key: [u8; 32] = rand::random();
    let mut wrapped = vec![0; material.len() + 16];
    let kek = AesKek::new(&AES_256, &key).unwrap();
    let length = kek.wrap_with_padding(material, &mut wrapped).unwrap().len();
    [encrypt(&key), wrapped[..length].to_vec()].concat()
}

fn oaep<D: Digest + FixedOutputReset>(parameters: &Value, plaintext: &[u8]) -> Vec<u8> {
    let key = PublicKey::from_public_key_der(&decode(&parameters["PublicKey"])).unwrap();
    key.oaep_encrypt::<D>(plaintext).unwrap()
}

#[tokio::test]
async fn every_algorithm_brings_the_same_material() {
    let mut stage = Stage::set_without_material().await;
    assert_eq!(stage.metadata().await["KeyState"], "PendingImport");
    let material: [u8; 32] = rand::random();
    let mut ids = Vec::new();
    for (algorithm, spec) in [
        ("RSAES_OAEP_SHA_1", "RSA_2048"),
        ("RSAES_OAEP_SHA_256", "RSA_3072"),
        ("RSA_AES_KEY_WRAP_SHA_1", "RSA_4096"),
        ("RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"),
    ] {
        let parameters = stage.parameters(algorithm, spec).await;
        assert_eq!(parameters["KeyId"], stage.key.arn);
        assert_eq!(parameters["ParametersValidTo"], NOW.saturating_add(DAY).as_ms() as f64 / 1000.0);
        let sha1 = |plaintext: &[u8]| oaep::<sha1::Sha1>(&parameters, plaintext);
        let sha256 = |plaintext: &[u8]| oaep::<sha2::Sha256>(&parameters, plaintext);
        let encrypted = match algorithm {
            "RSAES_OAEP_SHA_1" => sha1(&material),
            "RSAES_OAEP_SHA_256" => sha256(&material),
            "RSA_AES_KEY_WRAP_SHA_1" => key_wrap(sha1, &material),
            _ => key_wrap(sha256, &material),
        };
        let members = json!({
            "KeyId": stage.key.arn, "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": encode(&encrypted), "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        });
        let imported = stage.client.call("ImportKeyMaterial", &members).await.members();
        assert_eq!(imported["KeyId"], stage.key.arn);
        ids.push(imported["KeyMaterialId"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "the same material has the same id");

    let metadata = stage.metadata().await;
    assert_eq!(
        [&metadata["KeyState"], &metadata["Origin"], &metadata["ExpirationModel"], &metadata["ValidTo"]],
        [&json!("Enabled"), &json!("EXTERNAL"), &json!("KEY_MATERIAL_DOES_NOT_EXPIRE"), &Value::Null]
    );
    assert_eq!(metadata["CurrentKeyMaterialId"], ids[0]);
    let (blob, data_key) = stage.sealed(json!({})).await;
    let opened = stage.decrypt(&blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&opened), data_key);
    assert_eq!(stage.all_material().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn expired_material_is_out_of_use_at_once_and_then_destroyed() {
    let mut stage = Stage::set_without_material().await;
    let material: [u8; 32] = rand::random();
    let valid_to = NOW.saturating_add(2 * DAY);
    let expiring = json!({
        "ExpirationModel": "KEY_MATERIAL_EXPIRES",
        "ValidTo": valid_to.as_ms() as f64 / 1000.0,
        "KeyMaterialDescription": "from the safe",
    });
    stage.import(&material, expiring).await.members();
    let (blob, data_key) = stage.sealed(json!({})).await;
    assert_eq!(stage.metadata().await["ValidTo"], valid_to.as_ms() as f64 / 1000.0);
    let entry = stage.broker.store().find_key(&KeyIdentifier::Key(stage.key.id)).await.unwrap().unwrap();
    let wrapped = entry.key.materials[0].wrapped().unwrap().to_vec();
    assert!(stage.broker.files_hold(&wrapped));

    stage.broker.set_clock(UnixTime::from_ms(valid_to.as_ms() - 1));
    assert_eq!(stage.broker.keep_house().await.expired, 0);
    stage.decrypt(&blob, json!({})).await.members();
    stage.broker.set_clock(valid_to);
    let pending = format!("400 KMSInvalidStateException: {} is pending import.", stage.key.arn);
    assert_eq!(stage.decrypt(&blob, json!({})).await.refusal(), pending);
    for operation in ["EnableKey", "DisableKey"] {
        let key = json!({"KeyId": stage.key.arn});
        assert_eq!(stage.client.call(operation, &key).await.refusal(), pending, "{operation}");
    }
    assert!(stage.broker.files_hold(&wrapped), "nothing has looked yet");
    assert_eq!(stage.broker.keep_house().await.expired, 1);
    assert_eq!(stage.broker.keep_house().await.expired, 0);
    assert!(!stage.broker.files_hold(&wrapped), "a copy of the wrapped material is left");
    assert_eq!(stage.broker.audit_records().pop().unwrap()["eventName"], "DeleteExpiredKeyMaterial");
    let metadata = stage.metadata().await;
    assert_eq!(
        [&metadata["KeyState"], &metadata["ExpirationModel"]],
        [&json!("PendingImport"), &Value::Null]
    );

    let other = stage.import(&rand::random::<[u8; 32]>(), json!({})).await.refusal();
    assert!(other.starts_with("400 IncorrectKeyMaterialException: the key has not had"), "{other}");
    stage.import(&material, json!({})).await.members();
    let opened = stage.decrypt(&blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&opened), data_key);
    assert_eq!(stage.all_material().await[0]["KeyMaterialDescription"], "from the safe");
}

#[tokio::test]
async fn a_second_material_waits_for_its_rotation_and_both_are_needed() {
    let mut stage = Stage::set_without_material().await;
    let [first, second]: [[u8; 32]; 2] = rand::random();
    let first_id = stage.import(&first, json!({})).await.members()["KeyMaterialId"].take();
    let (blob, data_key) = stage.sealed(json!({})).await;
    let key = json!({"KeyId": stage.key.arn});
    let nothing = stage.client.call("RotateKeyOnDemand", &key).await.refusal();
    assert!(nothing.starts_with("400 KMSInvalidStateException: "), "{nothing}");

    let new = json!({"ImportType": "NEW_KEY_MATERIAL"});
    let second_id = stage.import(&second, new.clone()).await.members()["KeyMaterialId"].take();
    let states = |rotations: &Value| -> Vec<(Value, Value)> {
        let one = |it: &Value| (it["KeyMaterialId"].clone(), it["KeyMaterialState"].clone());
        rotations.as_array().unwrap().iter().map(one).collect()
    };
    assert_eq!(
        states(&stage.all_material().await),
        [(first_id.clone(), json!("CURRENT")), (second_id.clone(), json!("PENDING_ROTATION"))]
    );
    let third = stage.import(&rand::random::<[u8; 32]>(), new.clone()).await.refusal();
    assert!(third.starts_with("400 KMSInvalidStateException: "), "{third}");
    let again = stage.import(&first, new).await.refusal();
    assert!(again.starts_with("400 IncorrectKeyMaterialException: "), "{again}");

    stage.client.call("RotateKeyOnDemand", &key).await.members();
    assert_eq!(stage.metadata().await["CurrentKeyMaterialId"], second_id);
    let opened = stage.decrypt(&blob, json!({})).await.members();
    assert_eq!(stage.enclave.open(&opened), data_key);

    let delete = json!({"KeyId": stage.key.arn, "KeyMaterialId": first_id});
    let deleted = stage.client.call("DeleteImportedKeyMaterial", &delete).await.members();
    assert_eq!(deleted, json!({"KeyId": stage.key.arn, "KeyMaterialId": first_id}));
    assert_eq!(stage.metadata().await["KeyState"], "PendingImport", "no material may be missing");
    let named = json!({"KeyMaterialId": first_id});
    let other = stage.import(&second, named.clone()).await.refusal();
    assert!(other.starts_with("400 IncorrectKeyMaterialException: the key material is not"), "{other}");
    stage.import(&first, named).await.members();
    assert_eq!(stage.metadata().await["KeyState"], "Enabled");
    assert_eq!(
        states(&stage.all_material().await),
        [(first_id, json!("NON_CURRENT")), (second_id, json!("CURRENT"))]
    );
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let mut stage = Stage::set_without_material().await;
    let made_here = stage.broker.create_key(&open_policy()).await;
    let material: [u8; 32] = rand::random();
    let other_token = stage.parameters("RSAES_OAEP_SHA_256", "RSA_2048").await["ImportToken"].take();
    let too_far = NOW.saturating_add(366 * DAY).as_secs();
    let cases: [(&[u8], Value, &str); 8] = [
        (&material, json!({"ImportToken": encode(&[7; 600])}), "InvalidImportTokenException"),
        (&material, json!({"ImportToken": other_token}), "InvalidCiphertextException"),
        (&material, json!({"EncryptedKeyMaterial": encode(&[7; 256])}), "InvalidCiphertextException"),
        (&material[..31], json!({}), "IncorrectKeyMaterialException"),
        (&material, json!({"ExpirationModel": null}), "ValidationException"),
        (&material, json!({"ValidTo": too_far}), "ValidationException"),
        (&material, json!({"ExpirationModel": null, "ValidTo": too_far}), "ValidationException"),
        (&material, json!({"ExpirationModel": null, "ValidTo": NOW.as_secs()}), "ValidationException"),
    ];
    for (material, changes, exception) in cases {
        let refusal = stage.import(material, changes.clone()).await.refusal();
        assert!(refusal.starts_with(&format!("400 {exception}: ")), "{changes}: {refusal}");
    }
    assert_eq!(stage.metadata().await["KeyState"], "PendingImport");

    // A token is for one key and for a day.
    let external = stage.key.arn.clone();
    let mine = stage.parameters("RSAES_OAEP_SHA_256", "RSA_2048").await;
    let encrypted = encode(&oaep::<sha2::Sha256>(&mine, &material));
    let together = json!({"ImportToken": mine["ImportToken"], "EncryptedKeyMaterial": encrypted});
    stage.broker.set_clock(NOW.saturating_add(DAY));
    let late = stage.import(&material, together).await.refusal();
    assert!(late.starts_with("400 ExpiredImportTokenException: "), "{late}");

    for (operation, members) in [
        (
            "GetParametersForImport",
            json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
        ),
        ("DeleteImportedKeyMaterial", json!({})),
    ] {
        let members = changed(members, json!({"KeyId": made_here.arn}));
        let refusal = stage.client.call(operation, &members).await.refusal();
        let expected = format!("{} origin is AWS_KMS which is not valid for this operation.", made_here.arn);
        assert_eq!(refusal, format!("400 UnsupportedOperationException: {expected}"), "{operation}");
    }
    for (algorithm, spec) in [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "SM2")] {
        let members = json!({"KeyId": external, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        let refusal = stage.client.call("GetParametersForImport", &members).await.refusal();
        assert!(refusal.starts_with("400 UnsupportedOperationException: "), "{refusal}");
    }
    let rotation = json!({"KeyId": external});
    let refusal = stage.client.call("EnableKeyRotation", &rotation).await.refusal();
    assert!(refusal.starts_with("400 UnsupportedOperationException: "), "{refusal}");
}

#[tokio::test]
async fn an_hmac_key_makes_the_macs_of_its_owner() {
    let spec = KeySpec::from_name("HMAC_224").unwrap();
    let kind = KeyKind::new(spec, Some(KeyUsage::GenerateVerifyMac)).unwrap();
    let mut stage = Stage::set_without_material_of(kind).await;
    let mac = json!({"KeyId": stage.key.arn, "Message": encode(b"message"), "MacAlgorithm": "HMAC_SHA_224"});
    let refusal = stage.client.call("GenerateMac", &mac).await.refusal();
    assert_eq!(refusal, format!("400 KMSInvalidStateException: {} is pending import.", stage.key.arn));

    let material: [u8; 28] = rand::random();
    for length in [27, 29, 32] {
        let refusal = stage.import(&vec![7; length], json!({})).await.refusal();
        let problem = format!("a key of spec HMAC_224 takes 28 bytes, found {length}");
        assert!(refusal.ends_with(&problem), "{refusal}");
    }
    stage.import(&material, json!({})).await.members();
    let made = stage.client.call("GenerateMac", &mac).await.members();
    let hexkey = format!("hexkey:{}", hex::encode(material));
    let arguments = ["mac", "-digest", "SHA224", "-macopt", &hexkey, "-binary", "-in", "{message}", "HMAC"];
    assert_eq!(decode(&made["Mac"]), openssl::output(&[("message", b"message")], &arguments));

    // It is not rotated, so it takes no other material, only the same again.
    stage.import(&material, json!({})).await.members();
    let refusal = stage.import(&[7; 28], json!({})).await.refusal();
    assert!(refusal.starts_with("400 IncorrectKeyMaterialException: the key has not had"), "{refusal}");
    let refusal = stage.import(&[7; 28], json!({"ImportType": "NEW_KEY_MATERIAL"})).await.refusal();
    assert!(refusal.ends_with("are for symmetric encryption KMS keys only"), "{refusal}");
}

#[tokio::test]
async fn a_private_key_signs_for_its_owner() {
    let kinds: [(&str, &[&str], &str); 6] = [
        ("RSA_2048", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ECDSA_SHA_256"),
        ("ECC_NIST_P384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ECDSA_SHA_384"),
        ("ECC_NIST_P521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "ECDSA_SHA_512"),
        (
            "ECC_SECG_P256K1",
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
            "ECDSA_SHA_256",
        ),
        ("ECC_NIST_EDWARDS25519", &["-algorithm", "ED25519"], "ED25519_SHA_512"),
    ];
    let (other_kind, _) =
        openssl::key_pair(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"]);
    for (spec, arguments, algorithm) in kinds {
        let kind =
            KeyKind::new(KeySpec::from_name(spec).unwrap(), KeyUsage::from_name("SIGN_VERIFY")).unwrap();
        let mut stage = Stage::set_without_material_of(kind).await;
        let (private_key, public_key) = openssl::key_pair(arguments);
        assert_eq!(stage.metadata().await["KeyState"], "PendingImport");
        for wrong in [&other_kind[..], &private_key[..private_key.len() - 1], &public_key] {
            let refusal = stage.import_key_pair(wrong).await.refusal();
            let expected =
                format!("a key of spec {spec} takes its private key in PKCS#8, found something else");
            assert_eq!(refusal, format!("400 IncorrectKeyMaterialException: {expected}"));
        }
        stage.import_key_pair(&private_key).await.members();
        let key = json!({"KeyId": stage.key.arn});
        let told = stage.client.call("GetPublicKey", &key).await.members();
        assert_eq!(decode(&told["PublicKey"]), public_key, "{spec}");
        let members =
            json!({"KeyId": stage.key.arn, "Message": encode(b"message"), "SigningAlgorithm": algorithm});
        let signed = stage.client.call("Sign", &members).await.members();

        // Gone and back again, it is the same key; another one is not taken.
        stage.client.call("DeleteImportedKeyMaterial", &key).await.members();
        let pending = format!("400 KMSInvalidStateException: {} is pending import.", stage.key.arn);
        assert_eq!(stage.client.call("Sign", &members).await.refusal(), pending);
        let (another, _) = openssl::key_pair(arguments);
        let refusal = stage.import_key_pair(&another).await.refusal();
        assert!(refusal.starts_with("400 IncorrectKeyMaterialException: "), "{refusal}");
        stage.import_key_pair(&private_key).await.members();
        let verify = changed(members, json!({"Signature": signed["Signature"]}));
        assert_eq!(stage.client.call("Verify", &verify).await.members()["SignatureValid"], true, "{spec}");
    }
}
