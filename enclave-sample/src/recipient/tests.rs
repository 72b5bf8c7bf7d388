use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Barrier, LazyLock};
use std::thread;

use super::*;

static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap().to_pkcs8_der().unwrap().to_vec()
});

fn key() -> RecipientKey {
    RecipientKey::from_pkcs8_der(&KEY).unwrap()
}

/// Numbers its documents and checks that the recipient's key is asked for.
struct CountingNsm(Arc<AtomicU8>);

impl Nsm for CountingNsm {
    fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        assert_eq!(request.public_key.unwrap().len(), 294);
        assert_eq!((request.user_data, request.nonce), (None, None));
        Ok(vec![self.0.fetch_add(1, Ordering::Relaxed)])
    }
}

/// Writes the public key into the document, as a real one does.
struct EchoNsm;

impl Nsm for EchoNsm {
    fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        Ok(request.public_key.unwrap().to_vec())
    }
}

fn recipient() -> (Recipient, Arc<AtomicU8>) {
    let count = Arc::new(AtomicU8::new(0));
    (Recipient::new(CountingNsm(Arc::clone(&count)), key()), count)
}

#[test]
fn a_document_is_reused_until_its_period_ends() {
    let (recipient, count) = recipient();
    let start = Instant::now();
    let document_after = |elapsed| {
        recipient.attested_key_at(start + Duration::from_secs(elapsed)).unwrap().document().to_vec()
    };
    assert_eq!([document_after(0), document_after(1), document_after(239)], [[0], [0], [0]]);
    assert_eq!([document_after(240), document_after(479), document_after(480)], [[1], [1], [2]]);
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[test]
fn zero_asks_every_time() {
    let (recipient, count) = recipient();
    let recipient = recipient.renewing_after(Duration::ZERO);
    for _ in 0..3 {
        recipient.attested_key().unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[test]
fn threads_share_one_document() {
    let (recipient, count) = recipient();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(recipient.attested_key().unwrap().document(), [0]));
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// Lets the first document pass and holds the second until told.
struct HeldNsm {
    documents: AtomicUsize,
    asked: Arc<Barrier>,
    released: Arc<Barrier>,
}

impl Nsm for HeldNsm {
    fn attestation_document(&self, _: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        let number = self.documents.fetch_add(1, Ordering::Relaxed);
        if number == 1 {
            self.asked.wait();
            self.released.wait();
        }
        Ok(vec![u8::try_from(number).unwrap()])
    }
}

#[test]
fn nobody_waits_for_a_new_document_while_the_old_one_is_good() {
    let (asked, released) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let nsm = HeldNsm {
        documents: AtomicUsize::new(0),
        asked: Arc::clone(&asked),
        released: Arc::clone(&released),
    };
    let recipient = Recipient::new(nsm, key());
    let start = Instant::now();
    recipient.attested_key_at(start).unwrap();
    let due = start + DEFAULT_RENEW_AFTER;
    thread::scope(|scope| {
        let renewing = scope.spawn(|| recipient.attested_key_at(due).unwrap().document().to_vec());
        asked.wait();
        assert_eq!(recipient.attested_key_at(due).unwrap().document(), [0], "it did not wait");
        released.wait();
        assert_eq!(renewing.join().unwrap(), [1]);
    });
    assert_eq!(recipient.attested_key_at(due).unwrap().document(), [1]);
}

/// Gives one document, fails until it is mended, then gives more.
struct BrokenNsm {
    documents: AtomicU8,
    is_broken: Arc<AtomicU8>,
}

impl Nsm for BrokenNsm {
    fn attestation_document(&self, _: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        match self.is_broken.load(Ordering::Relaxed) {
            0 => Ok(vec![self.documents.fetch_add(1, Ordering::Relaxed)]),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }
}

#[test]
fn a_failing_nsm_is_survived_while_the_document_is_good_and_not_longer() {
    let is_broken = Arc::new(AtomicU8::new(0));
    let nsm = BrokenNsm { documents: AtomicU8::new(0), is_broken: Arc::clone(&is_broken) };
    let recipient = Recipient::new(nsm, key());
    let start = Instant::now();
    let document_after = |elapsed| {
        recipient
            .attested_key_at(start + Duration::from_secs(elapsed))
            .map(|attested| attested.document().to_vec())
    };
    assert_eq!(document_after(0).unwrap(), [0]);
    is_broken.store(1, Ordering::Relaxed);
    assert_eq!(document_after(269).unwrap(), [0]);
    assert!(matches!(document_after(270), Err(RecipientError::Nsm(NsmError::UnexpectedResponse))));
    is_broken.store(0, Ordering::Relaxed);
    assert_eq!(document_after(270).unwrap(), [1]);
}

#[test]
fn a_new_key_comes_with_a_document_of_its_own() {
    let recipient =
        Recipient::new(EchoNsm, key()).renewing_key_after(Duration::from_mins(10), RecipientKeySize::Rsa2048);
    let start = Instant::now();
    let after = |mins| recipient.attested_key_at(start + Duration::from_mins(mins)).unwrap();
    let (first, same, second) = (after(0), after(9), after(20));
    assert_eq!(first.key().spki_der(), same.key().spki_der());
    assert_ne!(first.key().spki_der(), second.key().spki_der());
    for attested in [first, same, second] {
        assert_eq!(attested.document(), attested.key().spki_der());
    }
}

#[test]
fn many_threads_never_see_a_key_with_the_document_of_another() {
    let recipient = Recipient::new(EchoNsm, key())
        .renewing_after(Duration::from_millis(1))
        .renewing_key_after(Duration::from_millis(1), RecipientKeySize::Rsa2048);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let end = Instant::now() + Duration::from_millis(500);
                while Instant::now() < end {
                    let attested = recipient.attested_key().unwrap();
                    assert_eq!(attested.document(), attested.key().spki_der());
                }
            });
        }
    });
}

#[tokio::test]
async fn tasks_get_the_same_without_blocking() {
    let (recipient, count) = recipient();
    let recipient = Arc::new(recipient.renewing_after(Duration::from_millis(80)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let recipient = Arc::clone(&recipient);
        tasks.spawn(async move { recipient.attested_key_for_task().await.unwrap().document().to_vec() });
    }
    assert_eq!(tasks.join_all().await, vec![vec![0]; 8]);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(recipient.attested_key_for_task().await.unwrap().document(), [1]);
}

#[test]
fn user_data_reaches_the_document() {
    struct ExpectsUserData;
    impl Nsm for ExpectsUserData {
        fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
            Ok(request.user_data.unwrap().to_vec())
        }
    }
    let recipient = Recipient::new(ExpectsUserData, key()).with_user_data("version 7");
    assert_eq!(recipient.attested_key().unwrap().document(), b"version 7");
}

#[test]
fn debug_shows_the_key_identifier_and_nothing_private() {
    let (recipient, _) = recipient();
    let identifier = hex::encode(recipient.key().key_identifier());
    assert_eq!(
        format!("{recipient:?}"),
        format!(
            "Recipient {{ key: RecipientKey {{ bits: 2048, key_identifier: \"{identifier}\", .. }}, renew_after: 240s, \
             renew_key_after: None, .. }}"
        )
    );
}
