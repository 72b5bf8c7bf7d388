//! Certificate paths.
//!
//! ```text
//! form, 1 byte │ now, 8 bytes of milliseconds │ leaf │ cabundle[0] │ cabundle[1] │ …    each behind its length, 2 bytes
//! ```
//!
//! Form 0 has certificates. Form 1 has TBSCertificates below the minted root, which the keys of the minted chain then
//! sign, so that the fuzzer gets past the signatures.

use std::sync::LazyLock;
use std::time::Duration;

use nitro_key_broker::time::UnixTime;
use nitro_key_broker::x509::{VerifiedPath, verify_path};

use super::genuine::{GENUINE, MINTED, ROOTS, Signer};

/// The most pieces read; a document has eight CA certificates at most.
const MAX_PIECES: usize = 10;

/// The keys of the minted authorities, root first.
static AUTHORITIES: LazyLock<[Signer; 4]> = LazyLock::new(|| {
    let chain = &MINTED.chain;
    [&chain.root, &chain.regional, &chain.zonal, &chain.instance].map(|link| Signer::new(&link.key))
});

pub fn run(input: &[u8]) {
    let Some(Input { signed, now, pieces }) = Input::read(input) else { return };
    let Some((leaf, bundle)) = pieces.split_first() else { return };
    if signed {
        let ([_, root], Some(instance)) = (&*ROOTS, AUTHORITIES.last()) else { return };
        let below_root = bundle.iter().zip(AUTHORITIES.iter().chain(std::iter::repeat(instance)));
        let certificates: Vec<Vec<u8>> = std::iter::once(root.clone())
            .chain(below_root.map(|(tbs, issuer)| issuer.certificate(tbs)))
            .collect();
        let issuer = AUTHORITIES.get(bundle.len()).unwrap_or(instance);
        check(&issuer.certificate(leaf), &as_slices(&certificates), now);
    } else if let Some(path) = check(leaf, bundle, now) {
        for certificate in &pieces {
            assert!(GENUINE.certificates.contains(*certificate), "a forged certificate is accepted");
        }
        let _: VerifiedPath = path;
    }
}

/// Verifies under the root that the bundle starts with, as the verifier of documents does.
fn check(leaf: &[u8], bundle: &[&[u8]], now: UnixTime) -> Option<VerifiedPath> {
    let anchor = bundle.first().and_then(|first| ROOTS.iter().find(|root| root == first));
    // Without one of the roots there is no path; looking for one must not panic.
    let Some(anchor) = anchor else {
        let _ = verify_path(leaf, bundle, &ROOTS[1], now);
        return None;
    };
    match verify_path(leaf, bundle, anchor, now) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
        Ok(path) => {
            check_window(leaf, bundle, anchor, now, &path);
            check_shape(leaf, bundle, anchor, now);
            Some(path)
        }
    }
}

/// The path holds in the window that it names and nowhere else.
fn check_window(leaf: &[u8], bundle: &[&[u8]], anchor: &[u8], now: UnixTime, path: &VerifiedPath) {
    let second = Duration::from_secs(1);
    let holds = |at| verify_path(leaf, bundle, anchor, at).is_ok();
    assert!(path.validity.contains(now));
    // One of the four for each input: each costs as much as the path itself.
    match now.as_ms() % 4 {
        0 => assert!(holds(path.validity.not_before)),
        1 => assert!(holds(path.validity.not_after)),
        2 => assert!(
            !holds(path.validity.not_before.saturating_sub(second)) || path.validity.not_before.as_ms() == 0
        ),
        _ => assert!(!holds(path.validity.not_after.saturating_add(second))),
    }
}

/// No certificate of the path may be missing, doubled or elsewhere.
fn check_shape(leaf: &[u8], bundle: &[&[u8]], anchor: &[u8], now: UnixTime) {
    let at = usize::try_from(now.as_ms() / 4).unwrap_or(0) % bundle.len();
    let mut without = bundle.to_vec();
    without.remove(at);
    assert!(verify_path(leaf, &without, anchor, now).is_err(), "cabundle[{at}] is not needed");
    let mut twice = bundle.to_vec();
    twice.insert(at, bundle[at]);
    assert!(verify_path(leaf, &twice, anchor, now).is_err(), "cabundle[{at}] may stand twice");
    if at > 0 {
        let mut swapped = bundle.to_vec();
        swapped.swap(at - 1, at);
        assert!(
            verify_path(leaf, &swapped, anchor, now).is_err(),
            "cabundle[{at}] may stand before its issuer"
        );
    }
}

struct Input<'a> {
    signed: bool,
    now: UnixTime,
    pieces: Vec<&'a [u8]>,
}

impl<'a> Input<'a> {
    fn read(input: &'a [u8]) -> Option<Self> {
        let (form, input) = input.split_first()?;
        let (now, mut rest) = input.split_first_chunk()?;
        let mut pieces = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk()
            && pieces.len() < MAX_PIECES
        {
            let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
            let (piece, after) = after.split_at(length);
            pieces.push(piece);
            rest = after;
        }
        Some(Self { signed: form & 1 == 1, now: UnixTime::from_ms(u64::from_be_bytes(*now)), pieces })
    }
}

/// An input of either form.
pub fn encode(form: u8, now: UnixTime, pieces: &[&[u8]]) -> Vec<u8> {
    let mut input = vec![form];
    input.extend(now.as_ms().to_be_bytes());
    for piece in pieces {
        input.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
        input.extend(*piece);
    }
    input
}

fn as_slices(certificates: &[Vec<u8>]) -> Vec<&[u8]> {
    certificates.iter().map(Vec::as_slice).collect()
}
