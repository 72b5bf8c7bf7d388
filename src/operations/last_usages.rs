use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::keys::{KeyId, LastUsage};

/// The last usage of each key that the store has not been told of: it is told from time to time, so that a request costs
/// no write for it. What a crash takes away is in the audit log.
#[derive(Default)]
pub(super) struct LastUsages(Mutex<HashMap<KeyId, LastUsage>>);

impl LastUsages {
    pub(super) fn note(&self, key: KeyId, usage: LastUsage) {
        self.with(|usages| {
            let is_latest = usages.get(&key).is_none_or(|noted| noted.time <= usage.time);
            if is_latest {
                usages.insert(key, usage);
            }
        });
    }

    pub(super) fn of(&self, key: KeyId) -> Option<LastUsage> {
        self.with(|usages| usages.get(&key).cloned())
    }

    /// Everything noted. It is still here until [`LastUsages::forget`], so that none is missed meanwhile.
    pub(super) fn all(&self) -> Vec<(KeyId, LastUsage)> {
        self.with(|usages| usages.iter().map(|(key, usage)| (*key, usage.clone())).collect())
    }

    /// Forgets what is as it was in `told`.
    pub(super) fn forget(&self, told: &[(KeyId, LastUsage)]) {
        self.with(|usages| {
            for (key, usage) in told {
                if usages.get(key) == Some(usage) {
                    usages.remove(key);
                }
            }
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<KeyId, LastUsage>) -> T) -> T {
        // A panic while the lock is held leaves at worst a usage out.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
