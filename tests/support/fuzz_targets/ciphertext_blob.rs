//! CiphertextBlobs. An input that starts with the version byte is a blob; any other gives a nonce and a plaintext, which
//! a second implementation of the format seals.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::keys::{
    BlobError, CiphertextBlob, Key, KeyId, KeyMaterial, KeyMaterialId, KeyOrigin, KeySpec, KeyState,
    KeyUsage, Realm, open,
};
use nitro_key_broker::policy::{Caller, KeyPolicy, Permit, Policies, Question, decide};
use nitro_key_broker::time::UnixTime;
use sha2::Sha256;

const MATERIAL: [u8; 32] = *b"the one key material of the fuzz";
pub const KEY_ID: [u8; 16] = *b"\x0f\x9d\x7a\x0c\x6d\x5e\x4c\x0a\x9b\x1e\x2f\x3a\x4b\x5c\x6d\x7e";
pub const MATERIAL_ID: [u8; 32] = [0x4d; 32];
const HEADER_LEN: usize = 65;

struct Setting {
    key: Key,
    permit: Permit,
    context: EncryptionContext,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let policy =
        r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}}"#;
    let id = KeyId::from_bytes(KEY_ID);
    let key = Key {
        id,
        arn: Realm::new("us-east-1", "111122223333").unwrap().key_arn(id),
        state: KeyState::Enabled,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: KeyOrigin::AwsKms,
        public_key: None,
        description: String::new(),
        created_at: UnixTime::from_ms(0),
        deletion_at: None,
        rotation: None,
        policy: Arc::new(KeyPolicy::parse(policy).unwrap()),
        materials: Vec::new(),
    };
    let context = EncryptionContext::new(BTreeMap::from([("App".to_owned(), "fuzz".to_owned())])).unwrap();
    let question = Question {
        encryption_context: &context,
        ..Question::new(&Caller::Anonymous, "kms:Decrypt", key.arn.as_str(), UnixTime::from_ms(0))
    };
    let permit = decide(&Policies { key: &key.policy, identity: &[], grants: &[] }, &question).unwrap();
    Setting { key, permit, context }
});

pub fn run(input: &[u8]) {
    if input.first() == Some(&1) {
        run_blob(input);
    } else if let Some((nonce, plaintext)) = input.split_first_chunk()
        && (1..=4096).contains(&plaintext.len())
    {
        let mut blob = seal(nonce, plaintext);
        assert_eq!(open_blob(&CiphertextBlob::parse(&blob).unwrap()), Ok(()));
        // The rest of the nonce picks a bit; no bit may change.
        let at = usize::from(u16::from_be_bytes([nonce[0], nonce[1]])) % blob.len();
        blob[at] ^= 1 << (nonce[2] % 8);
        run_blob(&blob);
        assert!(
            CiphertextBlob::parse(&blob).and_then(|blob| open_blob(&blob)).is_err(),
            "byte {at} may change"
        );
    }
}

fn run_blob(bytes: &[u8]) {
    match CiphertextBlob::parse(bytes) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(blob) => {
            assert_eq!(blob.as_bytes(), bytes);
            assert_eq!(blob.key_id().as_bytes()[..], bytes[1..17]);
            assert_eq!(blob.material_id().as_bytes()[..], bytes[17..49]);
            assert_eq!(open_blob(&blob).is_ok(), opens(bytes), "two implementations differ");
        }
    }
}

fn open_blob(blob: &CiphertextBlob) -> Result<(), BlobError> {
    let Setting { key, permit, context } = &*SETTING;
    let material = KeyMaterial::from_unwrapped(KeyMaterialId::from_bytes(MATERIAL_ID), &MATERIAL).unwrap();
    open(permit, key, &material, context, blob).map(drop)
}

/// Seals as `docs/ciphertext-blob.md` says.
pub fn seal(nonce: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
    let header = [&[1][..], &KEY_ID, &MATERIAL_ID, nonce].concat();
    let (cipher, iv) = message_cipher(nonce);
    let aad = associated_data(&header);
    let ciphertext = cipher.encrypt(&iv.into(), Payload { msg: plaintext, aad: &aad }).unwrap();
    [header, ciphertext].concat()
}

fn opens(blob: &[u8]) -> bool {
    let (header, ciphertext) = blob.split_at(HEADER_LEN);
    let (cipher, iv) = message_cipher(header.last_chunk().unwrap());
    let aad = associated_data(header);
    header[1..17] == KEY_ID
        && header[17..49] == MATERIAL_ID
        && cipher.decrypt(&iv.into(), Payload { msg: ciphertext, aad: &aad }).is_ok()
}

fn message_cipher(nonce: &[u8; 16]) -> (Aes256Gcm, [u8; 12]) {
    let info = [&b"nitro-key-broker CiphertextBlob v1\0"[..], &KEY_ID];
    let mut output = [0; 44];
    Hkdf::<Sha256>::new(Some(nonce), &MATERIAL).expand_multi_info(&info, &mut output).unwrap();
    let (key, iv) = output.split_at(32);
    (Aes256Gcm::new_from_slice(key).unwrap(), iv.try_into().unwrap())
}

fn associated_data(header: &[u8]) -> Vec<u8> {
    [header, b"\0\0\0\x01\0\0\0\x03App\0\0\0\x04fuzz"].concat()
}
