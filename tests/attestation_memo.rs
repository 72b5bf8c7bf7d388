//! Attestation, what a verifier remembers: never another verdict than that of a verifier that remembers nothing, and never
//! more than it has room for.

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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mint::Document;
use mint::cbor::{Cbor, bytes};
use mint::key::with_other_s;
use mint::vectors::{self, NOW_MS};
use nitro_key_broker::attestation::{
    self, Error, MemoSize, Requirements, TrustAnchors, VerifiedEvidence, Verifier,
};
use nitro_key_broker::time::UnixTime;

const NOW: UnixTime = UnixTime::from_ms(NOW_MS);
const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);

fn anchors(root: &[u8]) -> TrustAnchors {
    TrustAnchors::only_configured(&vectors::pem(root), Path::new("root.pem")).unwrap()
}

/// All that a verdict says, to compare.
fn verdict(result: Result<VerifiedEvidence, Error>) -> Result<String, Error> {
    result.map(|evidence| {
        format!(
            "{} {} {:?} {:?} {:?} {:?} {:?} {:?}",
            evidence.module_id(),
            evidence.timestamp(),
            evidence.pcrs(),
            evidence.public_key(),
            evidence.user_data(),
            evidence.nonce(),
            evidence.trust_anchor_sha256(),
            evidence.recipient_key().map(|key| *key.spki_sha256()),
        )
    })
}

/// Verdicts of one verifier at all of `times`, there and back, against those of a verifier without a memory.
fn compare_with_cold(
    name: &str,
    document: &[u8],
    verifier: &Verifier,
    requirements: Requirements,
    times: &[UnixTime],
) {
    let anchors = verifier.trust_anchors();
    for now in times.iter().chain(times.iter().rev()) {
        let cold = verdict(attestation::verify(document, anchors, *now, &requirements));
        assert_eq!(verdict(verifier.verify(document, *now)), cold, "{name} at {now}");
    }
}

/// When a document made at `made` is judged: within its freshness, at its ends, past them, past its leaf, out of all time.
fn times(made: UnixTime) -> Vec<UnixTime> {
    let after = |by: Duration| made.saturating_add(by);
    vec![
        made,
        after(Duration::from_secs(300)),
        after(Duration::from_secs(300) + MILLISECOND),
        made.saturating_sub(Duration::from_secs(30)),
        made.saturating_sub(Duration::from_secs(30) + MILLISECOND),
        after(Duration::from_secs(4 * 3600)),
        UnixTime::from_ms(0),
        UnixTime::from_ms(u64::MAX),
    ]
}

#[test]
fn every_minted_document_gets_the_verdict_it_gets_cold() {
    let requirements = Requirements::default();
    let shared = Verifier::new(anchors(&vectors::shared_root()), requirements);
    for vector in vectors::all() {
        let own;
        let verifier = if vector.own_root {
            let root = vectors::pem(&vector.document.root());
            own = Verifier::new(
                TrustAnchors::only_configured(&root, Path::new("root.pem")).unwrap(),
                requirements,
            );
            &own
        } else {
            &shared
        };
        let times = [NOW, NOW.saturating_add(Duration::from_secs(299)), NOW.saturating_add(DAY)];
        compare_with_cold(&vector.name(), &vector.document.mint(), verifier, requirements, &times);
    }
}

#[test]
fn every_recorded_document_gets_the_verdict_it_gets_cold() {
    for requirements in [
        Requirements::default(),
        Requirements { allow_debug: true, ..Requirements::default() },
        Requirements { max_age: Duration::MAX, max_ahead: Duration::MAX, allow_debug: true },
    ] {
        let verifier = Verifier::new(TrustAnchors::aws().unwrap(), requirements);
        for document in recorded::in_repository() {
            let times = times(document.timestamp.unwrap());
            compare_with_cold(&document.name, &document.bytes, &verifier, requirements, &times);
        }
    }
}

#[test]
fn a_remembered_document_ends_with_its_path_and_its_freshness() {
    let document = Document::genuine(NOW_MS);
    let (bytes, anchors) = (document.mint(), anchors(&document.root()));
    let made = UnixTime::from_ms(NOW_MS - 2_000);
    let code = |verifier: &Verifier, now| match verifier.verify(&bytes, now) {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    };

    let strict = Verifier::new(anchors.clone(), Requirements::default());
    assert_eq!(code(&strict, NOW), "accepted");
    assert_eq!(strict.memo_size(), MemoSize { paths: 1, documents: 1 });
    let oldest = made.saturating_add(Duration::from_secs(300));
    assert_eq!(code(&strict, oldest), "accepted");
    assert_eq!(code(&strict, oldest.saturating_add(MILLISECOND)), "stale");
    let earliest = made.saturating_sub(Duration::from_secs(30));
    assert_eq!(code(&strict, earliest), "accepted");
    assert_eq!(code(&strict, earliest.saturating_sub(MILLISECOND)), "from_the_future");

    let any_age =
        Requirements { max_age: Duration::MAX, max_ahead: Duration::MAX, ..Requirements::default() };
    let patient = Verifier::new(anchors, any_age);
    let leaf = &document.chain.leaf.certificate;
    let [starts, ends] = [leaf.not_before, leaf.not_after].map(|time| time.try_into().unwrap());
    assert_eq!(code(&patient, NOW), "accepted");
    assert_eq!(code(&patient, UnixTime::from_secs(starts)), "accepted");
    assert_eq!(code(&patient, UnixTime::from_secs(starts - 1)), "path_not_yet_valid");
    assert_eq!(code(&patient, UnixTime::from_secs(ends)), "accepted");
    assert_eq!(code(&patient, UnixTime::from_secs(ends + 1)), "path_expired");
}

#[test]
fn only_genuine_documents_are_remembered() {
    let verifier = Verifier::new(anchors(&vectors::shared_root()), Requirements::default());
    for vector in vectors::all() {
        let before = verifier.memo_size().documents;
        let accepted = verifier.verify(&vector.document.mint(), NOW).is_ok();
        let after = verifier.memo_size().documents;
        assert!(after == before || (accepted && after == before + 1), "{}", vector.name());
    }
    // Genuine paths occur in refused documents, too; a path that does not hold is not remembered.
    let paths = verifier.memo_size().paths;
    assert!((1..20).contains(&paths), "{paths} paths");
}

#[test]
fn a_debug_document_is_remembered_only_where_it_is_accepted() {
    let mut document = Document::genuine(NOW_MS);
    document.payload.set_pcr(0, &[0; 48]);
    let (bytes, anchors) = (document.mint(), anchors(&document.root()));
    for (allow_debug, documents) in [(false, 0), (true, 1)] {
        let requirements = Requirements { allow_debug, ..Requirements::default() };
        let verifier = Verifier::new(anchors.clone(), requirements);
        for _ in 0..2 {
            assert_eq!(verifier.verify(&bytes, NOW).is_ok(), allow_debug);
            assert_eq!(verifier.memo_size(), MemoSize { paths: 1, documents });
        }
    }
}

/// Documents of one enclave that differ in their user data.
fn documents(count: u8) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let mut document = Document::genuine(NOW_MS);
            document.payload.set("user_data", bytes(&[number]));
            document.mint()
        })
        .collect()
}

#[test]
fn a_verifier_remembers_no_more_than_it_has_room_for() {
    let limit = MemoSize { paths: 1, documents: 3 };
    let anchors = anchors(&vectors::shared_root());
    let verifier = Verifier::with_memo_size(anchors.clone(), Requirements::default(), limit);
    for document in documents(8) {
        verifier.verify(&document, NOW).unwrap();
        assert!(verifier.memo_size().documents <= 3);
    }
    assert_eq!(verifier.memo_size(), limit);

    let none = MemoSize { paths: 0, documents: 0 };
    let forgetful = Verifier::with_memo_size(anchors, Requirements::default(), none);
    for document in documents(2) {
        forgetful.verify(&document, NOW).unwrap();
        assert_eq!(forgetful.memo_size(), none);
    }
}

/// What an outsider can make of a document without its key: with or without tag 18, with s or n − s.
#[test]
fn a_document_has_four_encodings_and_no_more() {
    let document = Document::genuine(NOW_MS).mint();
    let signature_at = document.len() - 96;
    let other_s = [&document[..signature_at], &with_other_s(&document[signature_at..])].concat();
    let tagged = |untagged: &[u8]| [&[0xd2], untagged].concat();
    let verifier = Verifier::new(anchors(&vectors::shared_root()), Requirements::default());
    for (count, encoding) in
        [tagged(&document), tagged(&other_s), document.clone(), other_s].iter().enumerate()
    {
        verifier.verify(encoding, NOW).unwrap();
        assert_eq!(verifier.memo_size(), MemoSize { paths: 1, documents: count + 1 });
    }

    // Each head in its next longer form, each container without its length, and everything in a second tag.
    let replace = |range: std::ops::Range<usize>, with: &[u8]| {
        let mut changed = document.clone();
        changed.splice(range, with.iter().copied());
        changed
    };
    let payload_length = [document[8], document[9]];
    assert_eq!(document[..8], [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59]);
    let indefinite_array = [&replace(0..1, &[0x9f])[..], &[0xff]].concat();
    for (what, changed) in [
        ("array", replace(0..1, &[0x98, 4])),
        ("protected header", replace(1..2, &[0x58, 4])),
        ("unprotected header", replace(6..7, &[0xb8, 0])),
        ("payload", replace(7..10, &[&[0x5a, 0, 0], &payload_length[..]].concat())),
        ("signature", replace(signature_at - 2..signature_at, &[0x59, 0, 96])),
        ("indefinite array", indefinite_array),
        ("indefinite unprotected header", replace(6..7, &[0xbf, 0xff])),
        ("two tags", tagged(&tagged(&document))),
        ("longer tag", [&[0xd8, 18], &document[..]].concat()),
        ("signature with r + n", replace(signature_at..signature_at + 48, &[0xff; 48])),
    ] {
        assert!(verifier.verify(&changed, NOW).is_err(), "{what}");
        assert_eq!(verifier.memo_size().documents, 4, "{what}");
    }
}

/// Many threads, fewer entries than documents, and a clock that goes back and forth across every limit.
#[test]
fn threads_that_share_a_verifier_get_the_verdicts_that_each_would_get_alone() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 60;
    let requirements = Requirements::default();
    let anchors = anchors(&vectors::shared_root());
    let mut inputs = documents(4);
    let mut of_another_enclave = Document::genuine(NOW_MS);
    of_another_enclave.chain.leaf.certificate.serial = mint::der::integer(&[7]);
    inputs.push(of_another_enclave.mint());
    let mut forged = inputs[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    inputs.push(forged);
    let mut unsigned = Document::genuine(NOW_MS);
    unsigned.edit_elements = |elements| elements[3] = Cbor::Null;
    inputs.push(unsigned.mint());

    let times = times(UnixTime::from_ms(NOW_MS - 2_000));
    let questions: Vec<(&[u8], UnixTime)> =
        inputs.iter().flat_map(|input| times.iter().map(|now| (&input[..], *now))).collect();
    let expected: Vec<_> = questions
        .iter()
        .map(|(document, now)| verdict(attestation::verify(document, &anchors, *now, &requirements)))
        .collect();
    assert!(expected.iter().any(Result::is_ok));

    let limit = MemoSize { paths: 1, documents: 2 };
    let verifier = Verifier::with_memo_size(anchors, requirements, limit);
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (verifier, questions, expected, asked) = (&verifier, &questions, &expected, &asked);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // Neighbouring threads walk in different strides, so that all pairs of questions meet.
                    let index = (thread * 11 + round * (2 * thread + 1)) % questions.len();
                    let (document, now) = questions[index];
                    assert_eq!(verdict(verifier.verify(document, now)), expected[index], "question {index}");
                    let size = verifier.memo_size();
                    assert!(size.paths <= limit.paths && size.documents <= limit.documents, "{size:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(asked.into_inner(), THREADS * ROUNDS);
}
