//! The work of one GenerateDataKey without a server around it, twice: as the bare primitives, and as the broker's own
//! stages.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use minicbor::{Decoder, Encoder};
use nitro_key_broker::attestation::{
    self, AttestedRecipient, MemoSize, Requirements, TrustAnchors, VerifiedEvidence, Verifier,
};
use nitro_key_broker::crypto::{
    AeadKey, OaepDigest, OaepKey, aes256_cbc_encrypt, fill_random, hkdf_sha256, sha256,
};
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::keys::{
    self, CiphertextForRecipient, DataKey, Key, KeyId, KeyMaterial, KeyMaterialId, KeyOrigin, KeySpec,
    KeyState, KeyUsage, Realm,
};
use nitro_key_broker::policy::{Caller, KeyPolicy, Policies, Question, decide};
use nitro_key_broker::time::UnixTime;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A recorded document with a recipient key, and its own time.
pub struct RecordedDocument {
    pub bytes: Vec<u8>,
    pub now: UnixTime,
}

impl RecordedDocument {
    pub fn read() -> Self {
        let file = "testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let now = UnixTime::parse_rfc3339("2025-01-06T16:07:05.472Z").unwrap();
        Self { bytes: std::fs::read(path).unwrap(), now }
    }

    pub fn evidence(&self) -> VerifiedEvidence {
        let anchors = TrustAnchors::aws().unwrap();
        attestation::verify(&self.bytes, &anchors, self.now, &Requirements::default()).unwrap()
    }
}

/// One raw P-384 verification of what a document's leaf signed, SHA-384 of the message included.
pub struct RawVerification {
    key: ParsedPublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl RawVerification {
    pub fn of(document: &[u8]) -> Self {
        let mut decoder = Decoder::new(document);
        decoder.array().unwrap();
        let protected = decoder.bytes().unwrap();
        decoder.skip().unwrap();
        let (payload, signature) = (decoder.bytes().unwrap(), decoder.bytes().unwrap());
        let mut message = Vec::new();
        Encoder::new(&mut message)
            .array(4)
            .and_then(|encoder| encoder.str("Signature1"))
            .and_then(|encoder| encoder.bytes(protected))
            .and_then(|encoder| encoder.bytes(&[]))
            .and_then(|encoder| encoder.bytes(payload))
            .unwrap();
        let (_, leaf) = X509Certificate::from_der(leaf(payload)).unwrap();
        let point = &leaf.public_key().subject_public_key.data;
        let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).unwrap();
        Self { key, message, signature: signature.to_vec() }
    }

    pub fn run(&self) {
        self.key.verify_sig(&self.message, &self.signature).unwrap();
    }
}

fn leaf(payload: &[u8]) -> &[u8] {
    let mut decoder = Decoder::new(payload);
    let mut fields = decoder.map().unwrap().unwrap();
    while fields > 0 {
        if decoder.str().unwrap() == "certificate" {
            return decoder.bytes().unwrap();
        }
        decoder.skip().unwrap();
        fields -= 1;
    }
    panic!("no certificate")
}

/// Every primitive that one GenerateDataKey cannot do without, and nothing between them.
pub struct Primitives {
    verification: RawVerification,
    recipient_spki: Vec<u8>,
    root_key: AeadKey,
    wrapped_material: Vec<u8>,
}

impl Primitives {
    pub fn new(document: &RecordedDocument) -> Self {
        let root_key = AeadKey::new(&[1; 32]).unwrap();
        Self {
            verification: RawVerification::of(&document.bytes),
            recipient_spki: document.evidence().public_key().unwrap().to_vec(),
            wrapped_material: root_key.seal(&[2; 12], &[3; 80], &[4; 32]).unwrap(),
            root_key,
        }
    }

    pub fn run(&self) {
        self.verification.run();
        let material = self.root_key.open(&[2; 12], &[3; 80], &self.wrapped_material).unwrap();

        let (mut data_key, mut nonce) = ([0; 32], [0; 16]);
        fill_random(&mut data_key).unwrap();
        fill_random(&mut nonce).unwrap();
        let derived = hkdf_sha256::<44>(&nonce, &material, &[&[5; 35], &[6; 16]]).unwrap();
        let (key, gcm_nonce) = derived.split_first_chunk::<32>().unwrap();
        let message_key = AeadKey::new(key).unwrap();
        message_key.seal(gcm_nonce.first_chunk().unwrap(), &[7; 69], &data_key).unwrap();

        let (mut content_encryption_key, mut iv) = ([0; 32], [0; 16]);
        fill_random(&mut content_encryption_key).unwrap();
        fill_random(&mut iv).unwrap();
        sha256(&[&self.recipient_spki]);
        OaepKey::from_spki_der(&self.recipient_spki)
            .unwrap()
            .encrypt(OaepDigest::Sha256, &content_encryption_key)
            .unwrap();
        aes256_cbc_encrypt(&content_encryption_key, iv, &data_key).unwrap();
    }
}

/// The broker's stages from document to envelope: no HTTP, JSON, store or audit.
pub struct Stages {
    document: RecordedDocument,
    verifier: Verifier,
    key: Key,
    material: [u8; 32],
}

impl Stages {
    pub fn new(document: RecordedDocument) -> Self {
        let id = KeyId::from_bytes([1; 16]);
        let pcr0 = document.evidence().pcrs().get(0).unwrap().to_hex();
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{
                "Effect": "Allow", "Principal": "*", "Action": "kms:GenerateDataKey", "Resource": "*",
                "Condition": {{"StringEqualsIgnoreCase": {{"kms:RecipientAttestation:PCR0": "{pcr0}"}}}}
            }}]}}"#
        );
        let key = Key {
            id,
            arn: Realm::new("us-east-1", "111122223333").unwrap().key_arn(id),
            state: KeyState::Enabled,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::AwsKms,
            public_key: None,
            description: String::new(),
            created_at: document.now,
            deletion_at: None,
            rotation: None,
            policy: Arc::new(KeyPolicy::parse(&policy).unwrap()),
            materials: Vec::new(),
        };
        // A fresh document each time, as far as the verifier knows: its signature is one of the primitives.
        let fresh_documents = MemoSize { documents: 0, ..MemoSize::default() };
        let verifier =
            Verifier::with_memo_size(TrustAnchors::aws().unwrap(), Requirements::default(), fresh_documents);
        Self { document, verifier, key, material: [2; 32] }
    }

    pub fn run(&self) -> CiphertextForRecipient {
        let evidence = self.verifier.verify(&self.document.bytes, self.document.now).unwrap();
        let recipient: AttestedRecipient = evidence.into_recipient().unwrap();
        let context = EncryptionContext::default();
        let question = Question {
            recipient: Some(&recipient),
            encryption_context: &context,
            ..Question::new(
                &Caller::Anonymous,
                "kms:GenerateDataKey",
                self.key.arn.as_str(),
                self.document.now,
            )
        };
        let permit =
            decide(&Policies { key: &self.key.policy, identity: &[], grants: &[] }, &question).unwrap();
        let material =
            KeyMaterial::from_unwrapped(KeyMaterialId::from_bytes([3; 32]), &self.material).unwrap();
        let data_key = DataKey::generate(32).unwrap();
        keys::seal(&permit, &self.key, &material, &context, &data_key).unwrap();
        keys::seal_for_recipient(&permit, &data_key).unwrap()
    }
}
