//! The recipient of released keys: an RSA key that stays in the enclave, and the document that vouches for it.

mod key;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

pub use self::key::{RecipientKey, RecipientKeyError, RecipientKeySize};
use crate::nsm::{AttestationRequest, Nsm, NsmError};

/// How long a document is reused before a new one is asked for. A broker takes documents up to five minutes old; the
/// minute between leaves room for a slow request and clocks that disagree.
pub const DEFAULT_RENEW_AFTER: Duration = Duration::from_mins(4);

/// An RSA key and the NSM that vouches for it. Threads may share one.
pub struct Recipient {
    nsm: Box<dyn Nsm>,
    key: RecipientKey,
    renew_after: Duration,
    document: Mutex<Option<CachedDocument>>,
}

struct CachedDocument {
    bytes: Vec<u8>,
    obtained: Instant,
}

impl Recipient {
    /// A recipient that reuses a document for [`DEFAULT_RENEW_AFTER`].
    pub fn new(nsm: impl Nsm + 'static, key: RecipientKey) -> Self {
        Self { nsm: Box::new(nsm), key, renew_after: DEFAULT_RENEW_AFTER, document: Mutex::new(None) }
    }

    /// The same recipient with another period of reuse. Zero asks the NSM every time.
    pub fn renewing_after(mut self, renew_after: Duration) -> Self {
        self.renew_after = renew_after;
        self
    }

    /// The RSA key.
    pub fn key(&self) -> &RecipientKey {
        &self.key
    }

    /// An attestation document that names this recipient's key and is fresh.
    ///
    /// # Errors
    /// What the NSM reports.
    pub fn attestation_document(&self) -> Result<Vec<u8>, RecipientError> {
        self.attestation_document_at(Instant::now())
    }

    /// The same as of `now`.
    ///
    /// # Errors
    /// What the NSM reports.
    pub fn attestation_document_at(&self, now: Instant) -> Result<Vec<u8>, RecipientError> {
        // Held while the NSM works, a matter of milliseconds: threads that find the document stale wait for one new
        // document instead of each asking for its own.
        let mut cached = self.document.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = cached.as_ref()
            && now.saturating_duration_since(document.obtained) < self.renew_after
        {
            return Ok(document.bytes.clone());
        }
        let request = AttestationRequest::with_public_key(self.key.spki_der());
        let bytes = self.nsm.attestation_document(&request)?;
        *cached = Some(CachedDocument { bytes: bytes.clone(), obtained: now });
        Ok(bytes)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("key", &self.key)
            .field("renew_after", &self.renew_after)
            .finish_non_exhaustive()
    }
}

/// Why a recipient has no document to show.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// The NSM gave none.
    #[error(transparent)]
    Nsm(#[from] NsmError),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Numbers its documents and checks that the recipient's key is asked for.
    struct CountingNsm(Arc<AtomicU8>);

    impl Nsm for CountingNsm {
        fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
            assert_eq!(request.public_key.unwrap().len(), 294);
            assert_eq!((request.user_data, request.nonce), (None, None));
            Ok(vec![self.0.fetch_add(1, Ordering::Relaxed)])
        }
    }

    fn recipient() -> (Recipient, Arc<AtomicU8>) {
        let count = Arc::new(AtomicU8::new(0));
        let key = RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap();
        (Recipient::new(CountingNsm(Arc::clone(&count)), key), count)
    }

    #[test]
    fn a_document_is_reused_until_its_period_ends() {
        let (recipient, count) = recipient();
        let start = Instant::now();
        let document_after =
            |elapsed| recipient.attestation_document_at(start + Duration::from_secs(elapsed)).unwrap();
        assert_eq!([document_after(0), document_after(1), document_after(239)], [[0], [0], [0]]);
        assert_eq!([document_after(240), document_after(479), document_after(480)], [[1], [1], [2]]);
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn threads_share_one_document() {
        let (recipient, count) = recipient();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(recipient.attestation_document().unwrap(), [0]));
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_failed_attempt_is_not_remembered() {
        struct FailsOnce(AtomicU8);
        impl Nsm for FailsOnce {
            fn attestation_document(&self, _: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
                match self.0.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(NsmError::UnexpectedResponse),
                    attempt => Ok(vec![attempt]),
                }
            }
        }
        let key = RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap();
        let recipient = Recipient::new(FailsOnce(AtomicU8::new(0)), key);
        assert!(recipient.attestation_document().is_err());
        assert_eq!(recipient.attestation_document().unwrap(), [1]);
    }

    #[test]
    fn debug_shows_the_key_identifier_and_nothing_private() {
        let (recipient, _) = recipient();
        let identifier = hex::encode(recipient.key().key_identifier());
        assert_eq!(
            format!("{recipient:?}"),
            format!(
                "Recipient {{ key: RecipientKey {{ bits: 2048, key_identifier: \"{identifier}\", .. }}, renew_after: 240s, .. }}"
            )
        );
    }
}
