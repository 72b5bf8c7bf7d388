use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::crypto::{SHA256_LEN, sha256};
use crate::time::UnixTime;
use crate::x509::VerifiedPath;

/// Paths that the memo holds at most. An enclave's leaf serves for three hours and many documents; one entry is
/// under a kibibyte.
const DEFAULT_CAPACITY: NonZeroUsize = match NonZeroUsize::new(1024) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

/// Certificate paths verified before, so that a leaf's next document costs one signature check and not five.
///
/// Only a path that holds is ever entered, so nobody without a genuine leaf can fill it; it is bounded all the same,
/// and its window of validity is checked at each hit. The key covers every byte of every certificate, in order.
#[derive(Debug)]
pub struct PathMemo {
    paths: Mutex<LruCache<PathKey, Arc<VerifiedPath>>>,
}

/// A digest over every certificate of a path, each behind its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PathKey([u8; SHA256_LEN]);

impl Default for PathMemo {
    fn default() -> Self {
        Self { paths: Mutex::new(LruCache::new(DEFAULT_CAPACITY)) }
    }
}

impl PathMemo {
    /// A path that held before and, by its validity, holds at `now`.
    pub(super) fn get(&self, key: &PathKey, now: UnixTime) -> Option<Arc<VerifiedPath>> {
        let path = Arc::clone(self.lock().get(key)?);
        let holds = (path.valid_from.as_secs()..=path.valid_until.as_secs()).contains(&now.as_secs());
        holds.then_some(path)
    }

    pub(super) fn insert(&self, key: PathKey, path: Arc<VerifiedPath>) {
        self.lock().put(key, path);
    }

    // A panic while the lock is held cannot leave the map half changed; what it holds stays true.
    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<PathKey, Arc<VerifiedPath>>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PathKey {
    pub(super) fn of(leaf: &[u8], cabundle: &[&[u8]]) -> Self {
        let lengths: Vec<[u8; 8]> =
            cabundle.iter().chain([&leaf]).map(|der| (der.len() as u64).to_be_bytes()).collect();
        let certificates = cabundle.iter().copied().chain([leaf]);
        let parts: Vec<&[u8]> =
            lengths.iter().zip(certificates).flat_map(|(length, der)| [&length[..], der]).collect();
        Self(sha256(&parts))
    }
}
