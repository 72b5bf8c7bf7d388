//! The documents that are known to be genuine, and the keys of the minted ones.
//!
//! No fuzzer forges a P-384 signature. So whatever is accepted under a signature is one of these, byte for byte, or the
//! verifier is wrong. (An exception exists: anyone can turn a signature (r, s) into (r, n − s). No mutation finds it.)

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use nitro_key_broker::attestation::TrustAnchors;
use serde_cbor::Value;

use crate::mint::key::{Key, ecdsa_sig_value};
use crate::mint::vectors::{self, Layer, pem};
use crate::mint::{self, der};

/// Recorded on hardware, signed by AWS.
pub const RECORDED: [&[u8]; 7] = [
    include_bytes!("../../../testdata/recorded/ap-south-1_2025-11-10_indefinite_map_17_pcrs.bin"),
    include_bytes!("../../../testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin"),
    include_bytes!("../../../testdata/recorded/us-east-1_2021-03-05_debug.bin"),
    include_bytes!("../../../testdata/recorded/us-east-1_2024-11-14_debug.bin"),
    include_bytes!("../../../testdata/recorded/us-east-1_2025-09-23_indefinite_map.bin"),
    include_bytes!("../../../testdata/recorded/us-east-2_2024-10-28_nonce.bin"),
    include_bytes!("../../../testdata/recorded/us-east-2_2024-12-20_19_pcrs.bin"),
];

/// The parts of all genuine documents, read by a decoder that is not ours.
pub struct Genuine {
    pub payloads: HashSet<Vec<u8>>,
    pub certificates: HashSet<Vec<u8>>,
}

pub static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let minted = minted();
    let documents = RECORDED.into_iter().chain(minted.iter().map(Vec::as_slice));
    let payloads: HashSet<Vec<u8>> = documents.map(payload_of).collect();
    let certificates = payloads.iter().flat_map(|payload| certificates_of(payload)).collect();
    Genuine { payloads, certificates }
});

/// The minted documents whose path and signature hold under the shared root.
pub fn minted() -> Vec<Vec<u8>> {
    vectors::all()
        .into_iter()
        .filter(|vector| !vector.own_root)
        .filter(|vector| {
            use Layer::{Accepted, DebugMode, Freshness, RecipientKey};
            matches!(vector.layer, Accepted | DebugMode | Freshness | RecipientKey)
        })
        .map(|vector| vector.document.mint())
        .collect()
}

/// The document that the minted vectors start from.
pub static MINTED: LazyLock<mint::Document> = LazyLock::new(|| mint::Document::genuine(vectors::NOW_MS));

/// DER of the roots: that of AWS, and that of the minted chain.
pub static ROOTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let anchors = TrustAnchors::aws().unwrap();
    [anchors.iter().next().unwrap().der().to_vec(), MINTED.root()]
});

/// Both roots as trust anchors.
pub fn anchors() -> TrustAnchors {
    let [_, minted] = &*ROOTS;
    TrustAnchors::aws().unwrap().with_configured(&pem(minted), Path::new("root.pem")).unwrap()
}

/// The payload of a COSE_Sign1, tagged or not.
pub fn payload_of(document: &[u8]) -> Vec<u8> {
    match untagged(decode(document)) {
        Value::Array(mut elements) => into_bytes(elements.swap_remove(2)),
        other => panic!("{other:?}"),
    }
}

/// `cabundle` and `certificate` of a payload.
pub fn certificates_of(payload: &[u8]) -> Vec<Vec<u8>> {
    let (leaf, bundle) = (field(payload, "certificate"), field(payload, "cabundle"));
    let Value::Array(bundle) = bundle else { panic!("{bundle:?}") };
    bundle.into_iter().chain([leaf]).map(into_bytes).collect()
}

/// One field of a payload.
pub fn field(payload: &[u8], name: &str) -> Value {
    match decode(payload) {
        Value::Map(mut fields) => fields.remove(&Value::Text(name.to_owned())).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub fn into_bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

/// What is inside the tag of COSE_Sign1, if there is one.
pub fn untagged(value: Value) -> Value {
    match value {
        Value::Tag(18, inner) => *inner,
        other => other,
    }
}

pub fn decode(encoded: &[u8]) -> Value {
    serde_cbor::from_slice(encoded).expect("what the broker accepts is CBOR to another decoder too")
}

/// Signs as a level of the minted chain, quickly: the vectors' own signing is slow on purpose.
pub struct Signer(EcdsaKeyPair);

impl Signer {
    pub fn new(key: &Key) -> Self {
        let Key::P384(private) = key else { panic!("a key on P-384") };
        let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private.to_bytes(), &key.point());
        Self(pair.unwrap())
    }

    /// `r ‖ s` over SHA-384 of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// A certificate over `tbs`, ecdsa-with-SHA384.
    pub fn certificate(&self, tbs: &[u8]) -> Vec<u8> {
        let algorithm = der::sequence(&[der::oid(&[1, 2, 840, 10045, 4, 3, 3])]);
        let signature = der::bit_string(&ecdsa_sig_value(&self.sign(tbs)));
        der::sequence(&[tbs.to_vec(), algorithm, signature])
    }

    /// A COSE_Sign1 over `payload` in the form of hardware.
    pub fn sign1(&self, payload: &[u8]) -> Vec<u8> {
        let mut to_sign = vec![0x84];
        let mut encoder = minicbor::Encoder::new(&mut to_sign);
        encoder.str("Signature1").unwrap().bytes(mint::PROTECTED_ES384).unwrap();
        encoder.bytes(&[]).unwrap().bytes(payload).unwrap();
        let signature = self.sign(&to_sign);
        let mut document = vec![0x84];
        let mut encoder = minicbor::Encoder::new(&mut document);
        encoder.bytes(mint::PROTECTED_ES384).unwrap().map(0).unwrap();
        encoder.bytes(payload).unwrap().bytes(&signature).unwrap();
        document
    }
}

/// The minted leaf's key.
pub static LEAF: LazyLock<Signer> = LazyLock::new(|| Signer::new(&MINTED.chain.leaf.key));
