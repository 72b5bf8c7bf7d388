//! The format of `CiphertextBlob`, held against an implementation that shares nothing with the broker: HKDF and AES-GCM
//! of RustCrypto, and the format's description written down once more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;

use std::collections::BTreeMap;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::enclave::Enclave;
use broker::{ACCOUNT, REGION, TestBroker, TestKey, open_policy, parse_policy};
use hkdf::Hkdf;
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::keys::{
    self, BlobError, CiphertextBlob, DataKey, Key, KeyId, KeyMaterial, KeyMaterialId, KeyOrigin, KeySpec,
    KeyState, KeyUsage, MAX_CIPHERTEXT_BLOB_LEN, Realm,
};
use nitro_key_broker::policy::{Caller, Permit, Policies, Question, decide};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;
use serde_json::json;
use sha2::Sha256;

const HEADER_LEN: usize = 65;
const SHORTEST: usize = HEADER_LEN + 1 + 16;

/// The format, for the second time: `01 ‖ key id, 16 ‖ material id, 32 ‖ nonce, 16 ‖ AES-256-GCM ciphertext ‖ tag`.
struct Format {
    key_id: [u8; 16],
    material_id: [u8; 32],
    material: [u8; 32],
    context: BTreeMap<String, String>,
}

impl Format {
    fn of(key: &TestKey, context: &[(&str, &str)]) -> Self {
        let context = context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { key_id: *key.id.as_bytes(), material_id: key.material_id, material: key.material, context }
    }

    fn seal(&self, nonce: [u8; 16], plaintext: &[u8]) -> Vec<u8> {
        let header = [&[1][..], &self.key_id, &self.material_id, &nonce].concat();
        let (cipher, gcm_nonce) = self.message_key(&nonce);
        let aad = [&header[..], &canonical(&self.context)].concat();
        let sealed = cipher.encrypt(&gcm_nonce, Payload { msg: plaintext, aad: &aad }).unwrap();
        [header, sealed].concat()
    }

    fn open(&self, blob: &[u8]) -> Option<Vec<u8>> {
        let (header, sealed) = blob.split_at(HEADER_LEN);
        assert_eq!(
            (header[0], &header[1..17], &header[17..49]),
            (1, &self.key_id[..], &self.material_id[..])
        );
        let (cipher, gcm_nonce) = self.message_key(header[49..].try_into().unwrap());
        let aad = [header, &canonical(&self.context)].concat();
        cipher.decrypt(&gcm_nonce, Payload { msg: sealed, aad: &aad }).ok()
    }

    /// HKDF-SHA-256: 32 bytes of key, then 12 of nonce.
    fn message_key(&self, nonce: &[u8; 16]) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
        let info = [&b"nitro-key-broker CiphertextBlob v1\0"[..], &self.key_id].concat();
        let mut output = [0; 44];
        Hkdf::<Sha256>::new(Some(nonce), &self.material).expand(&info, &mut output).unwrap();
        let (key, gcm_nonce) = output.split_at(32);
        (Aes256Gcm::new_from_slice(key).unwrap(), Nonce::try_from(gcm_nonce).unwrap())
    }
}

/// The number of pairs, then each key and value behind its length, in order of the keys; 32-bit big-endian.
fn canonical(context: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = u32::try_from(context.len()).unwrap().to_be_bytes().to_vec();
    for (key, value) in context {
        for text in [key, value] {
            bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.bytes());
        }
    }
    bytes
}

#[tokio::test]
async fn an_independent_implementation_opens_what_the_broker_seals() {
    let broker = TestBroker::start().await;
    let key = broker.create_key(&open_policy()).await;
    let enclave = Enclave::new();
    let mut client = broker.connect().await;
    for (size, context) in [
        (1, &[][..]),
        (16, &[("tenant", "a")][..]),
        (32, &[("z", "1"), ("a", "2"), ("ä", "\u{0}"), ("", "")][..]),
        (1024, &[][..]),
    ] {
        let format = Format::of(&key, context);
        let members = client
            .call(
                "GenerateDataKey",
                &json!({
                    "KeyId": key.arn, "NumberOfBytes": size, "EncryptionContext": format.context,
                    "Recipient": enclave.recipient(broker.now()),
                }),
            )
            .await
            .members();
        let blob = STANDARD.decode(members["CiphertextBlob"].as_str().unwrap()).unwrap();
        assert_eq!(blob.len(), HEADER_LEN + size + 16);
        assert_eq!(format.open(&blob).unwrap(), enclave.open(&members));
        assert_eq!(Format::of(&key, &[("other", "context")]).open(&blob), None);
    }
}

/// A blob that was sealed once and must open for ever.
#[tokio::test]
async fn the_broker_opens_what_an_independent_implementation_sealed() {
    const SEALED: &str = "0100112233445546778899aabbccddeeff\
         0101010101010101010101010101010101010101010101010101010101010101\
         03030303030303030303030303030303\
         88d9c13fff4b6122da53e9704b7a8b8b3e28337374fb463931173adb93e926f2\
         23f7ad533f4401b841f13b6ada7cd05d";
    let broker = TestBroker::start().await;
    let mut key_id = [0; 16];
    hex::decode_to_slice("00112233445546778899aabbccddeeff", &mut key_id).unwrap();
    let key = broker.insert_key(KeyId::from_bytes(key_id), [1; 32], [2; 32], &open_policy()).await;
    let plaintext = *b"a data key of thirty-two bytes!!";
    let format = Format::of(&key, &[("purpose", "vector"), ("tenant", "a")]);
    let blob = format.seal([3; 16], &plaintext);
    assert_eq!(hex::encode(&blob), SEALED);

    let enclave = Enclave::new();
    let members = json!({
        "CiphertextBlob": STANDARD.encode(&blob), "EncryptionContext": format.context,
        "Recipient": enclave.recipient(broker.now()),
    });
    let members = broker.connect().await.call("Decrypt", &members).await.members();
    assert_eq!(enclave.open(&members), plaintext);
}

#[test]
fn no_bit_of_a_blob_can_change() {
    let stage = Stage::set();
    let context = EncryptionContext::new(BTreeMap::from([("k".to_owned(), "v".to_owned())])).unwrap();
    let data_key = DataKey::generate(32).unwrap();
    let blob = keys::seal(&stage.permit, &stage.key, &stage.material(), &context, &data_key).unwrap();
    assert!(stage.open(blob.as_bytes(), &context).is_ok());
    for bit in 0..blob.as_bytes().len() * 8 {
        let mut altered = blob.as_bytes().to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => BlobError::Version { actual: altered[0] },
            _ => BlobError::Authentication,
        };
        assert_eq!(stage.open(&altered, &context), Err(expected), "bit {bit}");
    }
    for length in 0..blob.as_bytes().len() {
        assert!(stage.open(&blob.as_bytes()[..length], &context).is_err(), "{length} bytes");
    }
}

#[test]
fn every_blob_has_a_nonce_of_its_own() {
    let stage = Stage::set();
    let data_key = DataKey::generate(32).unwrap();
    let nonces: std::collections::HashSet<Vec<u8>> = (0..1000)
        .map(|_| {
            let context = EncryptionContext::default();
            let blob = keys::seal(&stage.permit, &stage.key, &stage.material(), &context, &data_key).unwrap();
            blob.as_bytes()[49..HEADER_LEN].to_vec()
        })
        .collect();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn a_permit_for_one_key_does_not_serve_another() {
    let (stage, other) = (Stage::set(), Stage::set());
    let context = EncryptionContext::default();
    let data_key = DataKey::generate(32).unwrap();
    let sealed = keys::seal(&other.permit, &stage.key, &stage.material(), &context, &data_key);
    assert_eq!(sealed.unwrap_err(), keys::SealError::PermitForAnotherKey);
    let blob = keys::seal(&stage.permit, &stage.key, &stage.material(), &context, &data_key).unwrap();
    let opened = keys::open(&other.permit, &stage.key, &stage.material(), &context, &blob);
    assert_eq!(opened.err(), Some(BlobError::Seal(keys::SealError::PermitForAnotherKey)));
    // A permit without an attested recipient gives nothing to anybody.
    let envelope = keys::seal_for_recipient(&stage.permit, &data_key);
    assert_eq!(envelope.unwrap_err(), keys::SealError::PermitWithoutRecipient);
}

#[test]
fn other_material_under_the_same_id_opens_nothing() {
    let stage = Stage::set();
    let context = EncryptionContext::default();
    let data_key = DataKey::generate(32).unwrap();
    let blob = keys::seal(&stage.permit, &stage.key, &stage.material(), &context, &data_key).unwrap();
    let other = KeyMaterial::from_unwrapped(*stage.material().id(), &[9; 32]).unwrap();
    let opened = keys::open(&stage.permit, &stage.key, &other, &context, &blob);
    assert_eq!(opened.err(), Some(BlobError::Authentication));
}

proptest! {
    #[test]
    fn parsing_takes_exactly_the_lengths_and_the_version_of_the_format(
        version in prop_oneof![3 => Just(1_u8), 1 => any::<u8>()],
        rest in prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..2 * SHORTEST),
            1 => proptest::collection::vec(any::<u8>(), MAX_CIPHERTEXT_BLOB_LEN - 3..MAX_CIPHERTEXT_BLOB_LEN + 3),
        ],
    ) {
        let bytes = [&[version][..], &rest].concat();
        let parsed = CiphertextBlob::parse(&bytes);
        if !(SHORTEST..=MAX_CIPHERTEXT_BLOB_LEN).contains(&bytes.len()) {
            let expected =
                BlobError::Length { min: SHORTEST, max: MAX_CIPHERTEXT_BLOB_LEN, actual: bytes.len() };
            prop_assert_eq!(parsed, Err(expected));
        } else if version != 1 {
            prop_assert_eq!(parsed, Err(BlobError::Version { actual: version }));
        } else {
            let blob = parsed.unwrap();
            prop_assert_eq!(blob.as_bytes(), &bytes);
            let key_id = blob.key_id();
            prop_assert_eq!(key_id.as_bytes(), &bytes[1..17]);
            prop_assert_eq!(blob.material_id().as_bytes(), &bytes[17..49]);
        }
    }

    #[test]
    fn the_canonical_context_is_the_one_described(
        pairs in proptest::collection::btree_map(".{0,12}", ".{0,12}", 0..6),
    ) {
        let context = EncryptionContext::new(pairs.clone()).unwrap();
        prop_assert_eq!(context.canonical_bytes(), canonical(&pairs));
    }

    #[test]
    fn another_context_never_opens(
        one in proptest::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
        other in proptest::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
    ) {
        let stage = Stage::set();
        let context = |pairs: &BTreeMap<_, _>| EncryptionContext::new(pairs.clone()).unwrap();
        let data_key = DataKey::generate(32).unwrap();
        let blob = keys::seal(&stage.permit, &stage.key, &stage.material(), &context(&one), &data_key).unwrap();
        prop_assert_eq!(stage.open(blob.as_bytes(), &context(&other)).is_ok(), one == other);
    }
}

/// A key in memory and a permit for it.
struct Stage {
    key: Key,
    permit: Permit,
}

impl Stage {
    fn set() -> Self {
        let id = KeyId::from_random_bytes(rand::random());
        let key = Key {
            id,
            arn: Realm::new(REGION, ACCOUNT).unwrap().key_arn(id),
            state: KeyState::Enabled,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::AwsKms,
            public_key: None,
            description: String::new(),
            created_at: UnixTime::from_ms(0),
            deletion_at: None,
            rotation: None,
            policy: Arc::new(parse_policy(&open_policy())),
            materials: Vec::new(),
        };
        let question = Question::new(
            &Caller::Anonymous,
            "kms:GenerateDataKeyWithoutPlaintext",
            key.arn.as_str(),
            UnixTime::from_ms(0),
        );
        let permit = decide(&Policies { key: &key.policy, identity: &[], grants: &[] }, &question).unwrap();
        Self { key, permit }
    }

    fn material(&self) -> KeyMaterial {
        KeyMaterial::from_unwrapped(KeyMaterialId::from_bytes([4; 32]), &[5; 32]).unwrap()
    }

    fn open(&self, bytes: &[u8], context: &EncryptionContext) -> Result<(), BlobError> {
        let blob = CiphertextBlob::parse(bytes)?;
        keys::open(&self.permit, &self.key, &self.material(), context, &blob).map(drop)
    }
}
