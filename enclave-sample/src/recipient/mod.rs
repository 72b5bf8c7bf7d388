//! The recipient of released keys: an RSA key that stays in the enclave, and the document that vouches for it.
//!
//! Key and document are handed out together, as an [`AttestedKey`]: a request shows the document, and its answer is
//! opened with the key that the document names, whatever was renewed in between.

mod key;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

pub use self::key::{RecipientKey, RecipientKeyError, RecipientKeySize};
use crate::nsm::{AttestationRequest, Nsm, NsmError};

/// How long a document is reused before a new one is asked for. A broker takes documents up to five minutes old; the
/// minute between leaves room for a slow NSM, a slow request and clocks that disagree.
pub const DEFAULT_RENEW_AFTER: Duration = Duration::from_mins(4);

/// The longest that a document is still used past its period while a new one is on its way.
const LONGEST_GRACE: Duration = Duration::from_secs(30);

/// An RSA key and the document that names it. They belong together.
pub struct AttestedKey {
    key: Arc<RecipientKey>,
    document: Vec<u8>,
}

impl AttestedKey {
    /// What opens the answer to a request that shows [`document`](Self::document).
    pub fn key(&self) -> &RecipientKey {
        &self.key
    }

    /// The attestation document, an untagged COSE_Sign1.
    pub fn document(&self) -> &[u8] {
        &self.document
    }
}

/// An NSM and the RSA key that it vouches for. Threads and tasks share one: each document is asked for once, whoever
/// needs it, and nobody waits for a new one while the old is good.
pub struct Recipient {
    nsm: Box<dyn Nsm>,
    key_size: RecipientKeySize,
    renew_after: Duration,
    renew_key_after: Option<Duration>,
    user_data: Option<Vec<u8>>,
    state: Mutex<State>,
    /// Held by whoever renews.
    renewal: Mutex<()>,
}

struct State {
    key: Arc<RecipientKey>,
    key_made: Instant,
    attested: Option<Attested>,
}

struct Attested {
    key: Arc<AttestedKey>,
    obtained: Instant,
}

/// How much longer what is there can be used.
enum Freshness {
    Fresh(Arc<AttestedKey>),
    /// Still good; a new one should be got now.
    Due(Arc<AttestedKey>),
    Stale,
}

impl Recipient {
    /// A recipient that keeps `key` and reuses a document for [`DEFAULT_RENEW_AFTER`].
    pub fn new(nsm: impl Nsm + 'static, key: RecipientKey) -> Self {
        let state = State { key: Arc::new(key), key_made: Instant::now(), attested: None };
        Self {
            nsm: Box::new(nsm),
            key_size: RecipientKeySize::default(),
            renew_after: DEFAULT_RENEW_AFTER,
            renew_key_after: None,
            user_data: None,
            state: Mutex::new(state),
            renewal: Mutex::new(()),
        }
    }

    /// The same recipient with another period of reuse. Zero asks the NSM every time.
    pub fn renewing_after(mut self, renew_after: Duration) -> Self {
        self.renew_after = renew_after;
        self
    }

    /// The same recipient, making a new key of `key_size` with the first document that is needed once the key is
    /// `renew_key_after` old. Without this, the key lives as long as the recipient.
    pub fn renewing_key_after(mut self, renew_key_after: Duration, key_size: RecipientKeySize) -> Self {
        self.renew_key_after = Some(renew_key_after);
        self.key_size = key_size;
        self
    }

    /// The same recipient, its documents carrying `user_data`, at most 512 bytes.
    pub fn with_user_data(mut self, user_data: impl Into<Vec<u8>>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }

    /// The RSA key of the next document, if it is not to be renewed first.
    pub fn key(&self) -> Arc<RecipientKey> {
        Arc::clone(&self.state().key)
    }

    /// The key, with a document that names it and is fresh. May wait for the NSM, and for a new key.
    ///
    /// # Errors
    /// What the NSM reports, or that no key can be made.
    pub fn attested_key(&self) -> Result<Arc<AttestedKey>, RecipientError> {
        self.attested_key_at(Instant::now())
    }

    /// The same as of `now`.
    ///
    /// # Errors
    /// What the NSM reports, or that no key can be made.
    pub fn attested_key_at(&self, now: Instant) -> Result<Arc<AttestedKey>, RecipientError> {
        match self.freshness(now) {
            Freshness::Fresh(attested) => Ok(attested),
            Freshness::Due(attested) => Ok(self.renew_unless_under_way(now).unwrap_or(attested)),
            Freshness::Stale => {
                let _renewing = lock(&self.renewal);
                // Whoever held the renewal may have done it.
                match self.freshness(now) {
                    Freshness::Fresh(attested) | Freshness::Due(attested) => Ok(attested),
                    Freshness::Stale => self.renew(now),
                }
            }
        }
    }

    /// The same for tasks of a Tokio runtime: what takes time happens on a thread that may block, and while the old
    /// document is good nobody waits for the new one.
    ///
    /// # Errors
    /// What the NSM reports, or that no key can be made.
    pub async fn attested_key_for_task(self: &Arc<Self>) -> Result<Arc<AttestedKey>, RecipientError> {
        let now = Instant::now();
        match self.freshness(now) {
            Freshness::Fresh(attested) => Ok(attested),
            Freshness::Due(attested) => {
                let recipient = Arc::clone(self);
                // Its failure is not this task's: the document that is there still serves, and the next one who asks
                // tries again.
                tokio::task::spawn_blocking(move || recipient.renew_unless_under_way(now));
                Ok(attested)
            }
            Freshness::Stale => {
                let recipient = Arc::clone(self);
                tokio::task::spawn_blocking(move || recipient.attested_key_at(now))
                    .await
                    .map_err(|_| RecipientError::Cancelled)?
            }
        }
    }

    fn freshness(&self, now: Instant) -> Freshness {
        let state = self.state();
        let Some(Attested { key, obtained }) = &state.attested else { return Freshness::Stale };
        let age = now.saturating_duration_since(*obtained);
        if age < self.renew_after {
            Freshness::Fresh(Arc::clone(key))
        } else if age < self.renew_after + LONGEST_GRACE.min(self.renew_after / 8) {
            Freshness::Due(Arc::clone(key))
        } else {
            Freshness::Stale
        }
    }

    /// `None` if another thread is at it, or if it failed: what is there still serves.
    fn renew_unless_under_way(&self, now: Instant) -> Option<Arc<AttestedKey>> {
        let _renewing = self.renewal.try_lock().ok()?;
        match self.freshness(now) {
            Freshness::Fresh(attested) => Some(attested),
            Freshness::Due(_) | Freshness::Stale => self.renew(now).ok(),
        }
    }

    /// For the holder of the renewal. The state is free meanwhile, for those whom the old document serves.
    fn renew(&self, now: Instant) -> Result<Arc<AttestedKey>, RecipientError> {
        let (mut key, mut key_made) = {
            let state = self.state();
            (Arc::clone(&state.key), state.key_made)
        };
        if self.renew_key_after.is_some_and(|limit| now.saturating_duration_since(key_made) >= limit) {
            key = Arc::new(RecipientKey::generate(self.key_size)?);
            key_made = now;
        }
        let request = AttestationRequest {
            user_data: self.user_data.as_deref(),
            ..AttestationRequest::with_public_key(key.spki_der())
        };
        let document = self.nsm.attestation_document(&request)?;
        let attested = Arc::new(AttestedKey { key: Arc::clone(&key), document });
        let obtained = Attested { key: Arc::clone(&attested), obtained: now };
        *self.state() = State { key, key_made, attested: Some(obtained) };
        Ok(attested)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A thread that panicked left nothing half done: each value is set in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for AttestedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttestedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("key", &self.key())
            .field("renew_after", &self.renew_after)
            .field("renew_key_after", &self.renew_key_after)
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
    /// There is no new key.
    #[error(transparent)]
    Key(#[from] RecipientKeyError),
    /// The runtime ended while the NSM worked.
    #[error("the program ends")]
    Cancelled,
}

#[cfg(test)]
mod tests;
