//! Attestation, on documents damaged in every place: refused each time, and never a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/mint/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mint;
#[path = "support/recorded.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;

use std::path::Path;

use mint::cbor::{Cbor, bytes};
use mint::vectors::{NOW_MS, pem};
use nitro_key_broker::attestation::{self, Requirements, Step, TrustAnchors};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;
use recorded::{Recorded, in_repository};

fn accepts(document: &[u8], now: UnixTime) -> bool {
    attestation::verify(document, &TrustAnchors::aws().unwrap(), now, &Requirements::default()).is_ok()
}

/// The recorded document with an RSA recipient key: a definite map, every field of its path in use.
fn with_recipient_key() -> Recorded {
    in_repository().into_iter().find(|document| document.is_recipient).unwrap()
}

/// The shortest recorded document with an indefinite map.
fn with_indefinite_map() -> Recorded {
    in_repository().into_iter().find(|document| document.indefinite_map).unwrap()
}

fn refuses_a_change_of_any_byte(document: &Recorded, change: u8) {
    let now = document.timestamp.unwrap();
    let mut damaged = document.bytes.clone();
    assert!(accepts(&damaged, now));
    for offset in 0..damaged.len() {
        damaged[offset] ^= change;
        assert!(!accepts(&damaged, now), "{}: byte {offset} ^ {change:#04x} is accepted", document.name);
        damaged[offset] ^= change;
    }
}

#[test]
fn a_change_of_the_lowest_bit_of_any_byte_is_refused() {
    refuses_a_change_of_any_byte(&with_recipient_key(), 0x01);
}

#[test]
fn a_change_of_the_highest_bit_of_any_byte_is_refused() {
    refuses_a_change_of_any_byte(&with_indefinite_map(), 0x80);
}

#[test]
fn a_truncation_at_any_length_is_refused() {
    for document in in_repository() {
        let now = document.timestamp.unwrap();
        for length in 0..document.bytes.len() {
            assert!(!accepts(&document.bytes[..length], now), "{}: {length} bytes", document.name);
        }
    }
}

/// The payload is damaged before it is signed: every parser behind the signature sees it.
#[test]
fn a_payload_damaged_before_signing_never_panics() {
    let genuine = mint::Document::genuine(NOW_MS);
    let anchors = TrustAnchors::only_configured(&pem(&genuine.root()), Path::new("root.pem")).unwrap();
    let payload = genuine.payload.item().encode(&genuine.chain);
    let now = UnixTime::from_ms(NOW_MS);

    let mut refusals = std::collections::BTreeMap::<Step, usize>::new();
    for offset in (0..payload.len()).step_by(3) {
        let mut damaged = payload.clone();
        damaged[offset] ^= 0x01;
        let document = signed(&genuine, &damaged);
        match attestation::verify(&document, &anchors, now, &Requirements::default()) {
            Ok(evidence) => {
                assert_eq!(evidence.trust_anchor_sha256(), anchors.iter().next().unwrap().sha256())
            }
            Err(error) => *refusals.entry(error.step()).or_default() += 1,
        }
    }
    // The envelope is intact; anything in the payload, the path in it and the leaf's key in that may be what broke.
    assert!(!refusals.contains_key(&Step::Cose), "{refusals:?}");
    for step in [Step::Payload, Step::Path] {
        assert!(refusals[&step] > 50, "{refusals:?}");
    }
}

/// `payload` in a document that the leaf signs.
fn signed(genuine: &mint::Document, payload: &[u8]) -> Vec<u8> {
    let to_sign = Cbor::Array(vec![
        Cbor::Text("Signature1".to_owned()),
        bytes(mint::PROTECTED_ES384),
        bytes(&[]),
        bytes(payload),
    ]);
    let signature = genuine.signer.sign(&to_sign.encode(&genuine.chain));
    let document = Cbor::Array(vec![
        bytes(mint::PROTECTED_ES384),
        Cbor::Map(Vec::new()),
        bytes(payload),
        Cbor::Bytes(signature),
    ]);
    document.encode(&genuine.chain)
}

proptest! {
    #[test]
    fn any_piece_cut_out_or_put_in_is_refused(
        at in any::<prop::sample::Index>(),
        cut in 0_usize..64,
        put in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let recorded = with_indefinite_map();
        let at = at.index(recorded.bytes.len());
        let until = recorded.bytes.len().min(at + cut);
        let mut damaged = recorded.bytes.clone();
        damaged.splice(at..until, put);
        prop_assume!(damaged != recorded.bytes);
        prop_assert!(!accepts(&damaged, recorded.timestamp.unwrap()));
    }

    #[test]
    fn arbitrary_bytes_are_refused(input in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(!accepts(&input, UnixTime::from_ms(NOW_MS)));
    }

    /// Behind the head of a document, so that more than the first byte is read.
    #[test]
    fn arbitrary_payloads_are_refused(payload in prop::collection::vec(any::<u8>(), 0..2048)) {
        let mut document = vec![0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];
        let mut encoder = minicbor::Encoder::new(&mut document);
        encoder.bytes(&payload).unwrap().bytes(&[1; 96]).unwrap();
        prop_assert!(!accepts(&document, UnixTime::from_ms(NOW_MS)));
    }
}
