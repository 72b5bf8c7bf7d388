use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::evidence::VerifiedEvidence;
use crate::crypto::{SHA256_LEN, sha256};
use crate::metrics::CacheCounters;
use crate::x509::Validity;

/// How many paths and documents a [`super::Verifier`] remembers. None at all turns that memo off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoSize {
    /// Certificate paths. An enclave's leaf serves for three hours and many documents; an entry is under a kibibyte.
    pub paths: usize,
    /// Documents. An enclave reuses one while it is fresh; an entry holds its values, 8 KiB at most.
    pub documents: usize,
}

impl Default for MemoSize {
    /// A thousand enclaves that are active at the same time, in 9 MiB at most.
    fn default() -> Self {
        Self { paths: 1024, documents: 1024 }
    }
}

/// What was verified before, by a digest of all that was verified. The entry used longest ago makes room.
///
/// Only what holds is ever entered, so nobody fills it without genuine certificates or documents. That something held is
/// all that an entry says: whoever reads it asks again for everything that depends on the time.
pub(super) struct Memo<K, V> {
    entries: Option<Mutex<LruCache<K, V>>>,
    counters: CacheCounters,
}

/// A digest over every certificate of a path, each behind its length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PathKey([u8; SHA256_LEN]);

/// A digest over a document, byte for byte.
///
/// Whoever holds a document can write it in four ways and no more, since no signature covers the tag 18 in front of it
/// and (r, n − s) is a signature where (r, s) is. Each way is verified once before it is entered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct DocumentKey([u8; SHA256_LEN]);

/// A document that was genuine when it was first seen.
#[derive(Clone)]
pub(super) struct RememberedDocument {
    pub evidence: VerifiedEvidence,
    /// When its path holds.
    pub validity: Validity,
}

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let entries = NonZeroUsize::new(capacity).map(|capacity| Mutex::new(LruCache::new(capacity)));
        Self { entries, counters: CacheCounters::default() }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let found = self.lock()?.get(key).cloned();
        self.counters.looked(found.is_some());
        found
    }

    pub(super) fn counters(&self) -> &CacheCounters {
        &self.counters
    }

    pub(super) fn insert(&self, key: K, value: V) {
        if let Some(mut entries) = self.lock() {
            entries.put(key, value);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().map_or(0, |entries| entries.len())
    }

    // A panic while the lock is held cannot leave the map half changed; what it holds stays true.
    fn lock(&self) -> Option<MutexGuard<'_, LruCache<K, V>>> {
        Some(self.entries.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
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

impl DocumentKey {
    pub(super) fn of(document: &[u8]) -> Self {
        Self(sha256(&[document]))
    }
}

impl<K: Hash + Eq, V: Clone> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({} entries)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Memo, PathKey};

    #[test]
    fn the_entry_used_longest_ago_makes_room() {
        let memo = Memo::new(2);
        memo.insert(1, 'a');
        memo.insert(2, 'b');
        assert_eq!(memo.get(&1), Some('a'));
        memo.insert(3, 'c');
        assert_eq!((memo.get(&1), memo.get(&2), memo.get(&3)), (Some('a'), None, Some('c')));
        memo.insert(3, 'd');
        assert_eq!((memo.get(&3), memo.len()), (Some('d'), 2));
    }

    #[test]
    fn a_memo_for_nothing_remembers_nothing() {
        let memo = Memo::new(0);
        memo.insert(1, 'a');
        assert_eq!((memo.get(&1), memo.len()), (None, 0));
    }

    #[test]
    fn a_panic_in_one_thread_leaves_the_others_their_memo() {
        let memo = Memo::new(2);
        memo.insert(1, 'a');
        std::thread::scope(|scope| {
            let panicked = scope.spawn(|| {
                let _guard = memo.lock();
                panic!("while the lock is held");
            });
            assert!(panicked.join().is_err());
        });
        memo.insert(2, 'b');
        assert_eq!((memo.get(&1), memo.get(&2)), (Some('a'), Some('b')));
    }

    #[test]
    fn the_same_bytes_cut_into_other_certificates_are_another_path() {
        let key = |leaf: &[u8], cabundle: &[&[u8]]| PathKey::of(leaf, cabundle).0;
        let keys = [
            key(b"c", &[b"a", b"b"]),
            key(b"c", &[b"ab"]),
            key(b"bc", &[b"a"]),
            key(b"c", &[b"b", b"a"]),
            key(b"", &[b"a", b"b", b"c"]),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(index + 1).all(|other| other != one), "{index}");
        }
    }
}
