//! Attestation documents: an input that starts like a CBOR map is a payload, which the minted leaf then signs, so that
//! the fuzzer gets past the signature; any other is a document as it comes.

use std::sync::LazyLock;
use std::time::Duration;

use nitro_key_broker::attestation::{
    Error, Requirements, Step, TrustAnchors, VerifiedEvidence, Verifier, verify,
};
use nitro_key_broker::time::UnixTime;
use serde_cbor::Value;
use sha2::{Digest, Sha256};

use super::genuine::{GENUINE, LEAF, anchors, certificates_of, field, payload_of};
use crate::mint::vectors::NOW_MS;

static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(anchors);
/// Asks nothing but that the document is genuine.
const GENUINE_ONLY: Requirements =
    Requirements { max_age: Duration::MAX, max_ahead: Duration::MAX, allow_debug: true };
static MEMOISED: LazyLock<Verifier> = LazyLock::new(|| Verifier::new(anchors(), GENUINE_ONLY));

pub fn run(input: &[u8]) {
    if matches!(input.first(), Some(0xa0..=0xbf)) {
        let document = LEAF.sign1(input);
        match judge(&document) {
            Ok(evidence) => check_evidence(&document, &evidence),
            Err(error) => assert_ne!(error.step(), Step::Cose, "the envelope is intact: {error}"),
        }
    } else if let Ok(evidence) = judge(input) {
        assert!(GENUINE.payloads.contains(&payload_of(input)), "a forged document is accepted");
        check_evidence(input, &evidence);
    }
}

/// The verdict at the time that the document claims, with and without the memo of paths.
fn judge(document: &[u8]) -> Result<VerifiedEvidence, Error> {
    let now = claimed_time(document).unwrap_or(UnixTime::from_ms(NOW_MS));
    let verdict = verify(document, &ANCHORS, now, &GENUINE_ONLY);
    let memoised = MEMOISED.verify(document, now);
    assert_eq!(verdict.as_ref().err(), memoised.as_ref().err(), "the memo changes a verdict");
    if let Err(error) = &verdict {
        assert!(!error.to_string().is_empty() && !error.code().is_empty());
    }
    // Asking for more never turns a refusal into an acceptance.
    let strict = verify(document, &ANCHORS, UnixTime::from_ms(NOW_MS), &Requirements::default());
    assert!(strict.is_err() || verdict.is_ok());
    verdict
}

/// What stands behind the first key `timestamp`, wherever that is.
fn claimed_time(document: &[u8]) -> Option<UnixTime> {
    const KEY: &[u8] = b"timestamp\x1b";
    let at = document.windows(KEY.len()).position(|window| window == KEY)?;
    let value = document[at + KEY.len()..].first_chunk()?;
    Some(UnixTime::from_ms(u64::from_be_bytes(*value)))
}

/// Holds what the verifier read against what another decoder reads.
fn check_evidence(document: &[u8], evidence: &VerifiedEvidence) {
    let payload = payload_of(document);
    for certificate in certificates_of(&payload) {
        assert!(GENUINE.certificates.contains(&certificate), "a forged certificate is accepted");
    }
    assert_eq!(field(&payload, "module_id"), Value::Text(evidence.module_id().to_owned()));
    assert_eq!(field(&payload, "timestamp"), Value::Integer(evidence.timestamp().as_ms().into()));
    let pcrs = evidence
        .pcrs()
        .iter()
        .map(|(index, pcr)| (Value::Integer(index.into()), Value::Bytes(hex::decode(pcr.to_hex()).unwrap())));
    assert_eq!(field(&payload, "pcrs"), Value::Map(pcrs.collect()));
    for (name, found) in [
        ("public_key", evidence.public_key()),
        ("user_data", evidence.user_data()),
        ("nonce", evidence.nonce()),
    ] {
        let expected = found.map_or(Value::Null, |bytes| Value::Bytes(bytes.to_vec()));
        assert_eq!(field(&payload, name), expected, "{name}");
    }
    if let Ok(key) = evidence.recipient_key() {
        let spki = evidence.public_key().unwrap();
        assert_eq!(*key.spki_sha256(), <[u8; 32]>::from(Sha256::digest(spki)));
    }
}
