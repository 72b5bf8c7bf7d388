//! COSE_Sign1: an input that starts with 00 is a payload, which the minted leaf then signs; any other comes as it is.

use std::sync::LazyLock;

use aws_nitro_enclaves_cose::CoseSign1;
use aws_nitro_enclaves_cose::crypto::{Hash, MessageDigest};
use aws_nitro_enclaves_cose::error::CoseError as PeerError;
use nitro_key_broker::cose::UnverifiedSign1;
use nitro_key_broker::crypto::P384PublicKey;
use serde_cbor::Value;

use super::genuine::{GENUINE, LEAF, MINTED, decode, untagged};
use crate::mint::PROTECTED_ES384;

/// Payloads that the minted leaf has signed beside those of documents.
pub const SIGNED: [(&str, &[u8]); 3] = [("empty", b""), ("text", b"payload"), ("long", &[0x5a; 300])];

static LEAF_KEY: LazyLock<P384PublicKey> =
    LazyLock::new(|| P384PublicKey::from_uncompressed_point(&MINTED.chain.leaf.key.point()).unwrap());

pub fn run(input: &[u8]) {
    match input.split_first() {
        Some((0, payload)) => run_signed(payload),
        _ => run_encoded(input),
    }
}

fn run_encoded(input: &[u8]) {
    match UnverifiedSign1::parse(input) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(sign1) => {
            let payload = sign1.unverified_payload();
            let peer = CoseSign1::from_bytes(input).expect("aws-nitro-enclaves-cose reads what is accepted");
            assert_eq!(peer.get_payload::<NoHash>(None).unwrap(), payload);
            let elements = [
                Value::Bytes(PROTECTED_ES384.to_vec()),
                Value::Map(Default::default()),
                Value::Bytes(payload.to_vec()),
            ];
            match untagged(decode(input)) {
                Value::Array(found) => assert_eq!((&found[..3], found.len()), (&elements[..], 4)),
                other => panic!("{other:?}"),
            }
            if sign1.verify(&LEAF_KEY).is_ok() {
                let is_known = SIGNED.iter().any(|(_, signed)| *signed == payload);
                assert!(is_known || GENUINE.payloads.contains(payload), "a forged signature verifies");
            }
        }
    }
}

/// The signed payload comes out; after a change of any one byte it does not.
fn run_signed(payload: &[u8]) {
    let mut encoded = LEAF.sign1(payload);
    let verify = |encoded: &[u8]| {
        UnverifiedSign1::parse(encoded).and_then(|sign1| sign1.verify(&LEAF_KEY).map(<[u8]>::to_vec))
    };
    assert_eq!(verify(&encoded).as_deref(), Ok(payload));
    let at = payload.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
        % encoded.len();
    encoded[at] ^= 1 << (payload.len() % 8);
    assert!(verify(&encoded).is_err(), "byte {at} may change");
}

/// Nothing is hashed where no signature is asked about.
struct NoHash;

impl Hash for NoHash {
    fn hash(_: MessageDigest, _: &[u8]) -> Result<Vec<u8>, PeerError> {
        unreachable!("without a key there is nothing to verify")
    }
}
