//! What the store remembers of what it has read, and what it forgets.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use super::MAX_STALENESS;
use crate::keys::{AliasName, KeyId, KeyIdentifier};
use crate::policy::{AttachedPolicy, Grant, GrantId, MAX_GRANTS_PER_KEY, PolicyHolder};
use crate::store::{Credential, KeyEntry};

/// Keys, aliases, credentials, principals, grants or lists of grants remembered at most, all dropped when there would be
/// more: a bound, not a working set.
const MAX_CACHED: usize = 10_000;

/// Grants remembered at most in lists, all dropped when there would be more: as many as one key can have.
const MAX_CACHED_IN_LISTS: usize = MAX_GRANTS_PER_KEY as usize;

/// What was read and has not changed since.
#[derive(Default)]
pub(super) struct Cache {
    /// Up to which state of the file changes were looked for.
    pub(super) seen: Seen,
    /// When the last look for changes began.
    pub(super) looked_at: Option<Instant>,
    keys: Remembered<KeyId, Arc<KeyEntry>>,
    aliases: Remembered<AliasName, KeyId>,
    pub(super) credentials: Remembered<String, Arc<Credential>>,
    pub(super) identity_policies: Remembered<PolicyHolder, Arc<[AttachedPolicy]>>,
    pub(super) grants: Remembered<GrantId, Arc<Grant>>,
    pub(super) grants_to: GrantsTo,
}

/// A state of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// SQLite's, which differs after every commit of any other connection.
    pub(super) data_version: i64,
    /// The number of the last change.
    pub(super) change: i64,
}

/// A row of the table `changes`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Change {
    pub(super) number: i64,
    pub(super) what: String,
    pub(super) id: String,
}

impl Cache {
    /// Nothing, on a file whose last change has that number.
    pub(super) fn empty(change: i64) -> Self {
        Self { seen: Seen { data_version: 0, change }, ..Self::default() }
    }

    /// Whether it counts as current without another look.
    pub(super) fn is_current(&self) -> bool {
        self.looked_at.is_some_and(|looked_at| looked_at.elapsed() < MAX_STALENESS)
    }

    /// Forgets what changed up to `seen`: everything, if some of the changes are not known any more or not understood.
    /// `changes` begins with the last one that was followed, by which a file that was put back to an earlier state shows.
    pub(super) fn follow(&mut self, seen: Seen, changes: &[Change]) {
        let last = self.seen.change;
        let (followed, new) = changes.split_at(usize::from(last > 0).min(changes.len()));
        let is_connected = last == 0 || followed.iter().any(|change| change.number == last);
        let is_complete = (last + 1..).zip(new).all(|(number, change)| number == change.number);
        if !(is_connected && is_complete && new.iter().all(|change| self.forget(change))) {
            *self = Self::default();
        }
        self.seen = seen;
    }

    /// Whether it is known what to forget.
    fn forget(&mut self, Change { number: _, what, id }: &Change) -> bool {
        match what.as_str() {
            "key" => id.parse().map(|id| self.keys.forget(&id)).is_ok(),
            "alias" => AliasName::parse(id).map(|name| self.aliases.forget(&name)).is_ok(),
            "grants" => id.parse().map(|id| self.grants_to.forget(&id)).is_ok(),
            "grant" => id.parse().map(|id| self.grants.forget(&id)).is_ok(),
            "credential" => {
                self.credentials.forget(id);
                true
            }
            "policies" => {
                PolicyHolder::parse(id).map(|holder| self.identity_policies.forget(&holder)).is_ok()
            }
            _ => false,
        }
    }

    pub(super) fn key(&self, identifier: &KeyIdentifier) -> Option<Arc<KeyEntry>> {
        let id = match identifier {
            KeyIdentifier::Key(id) => id,
            KeyIdentifier::Alias(name) => self.aliases.get(name)?,
        };
        self.keys.get(id).cloned()
    }

    pub(super) fn remember_key(&mut self, identifier: &KeyIdentifier, entry: &Arc<KeyEntry>) {
        if let KeyIdentifier::Alias(name) = identifier {
            self.aliases.remember(name.clone(), entry.key.id);
        }
        self.keys.remember(entry.key.id, Arc::clone(entry));
    }
}

/// A table of [`MAX_CACHED`] entries at most.
pub(super) struct Remembered<K, V>(HashMap<K, V>);

impl<K: Hash + Eq, V> Remembered<K, V> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub(super) fn remember(&mut self, key: K, value: V) {
        if self.0.len() >= MAX_CACHED && !self.0.contains_key(&key) {
            self.0.clear();
        }
        self.0.insert(key, value);
    }

    fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

type ListOfGrants = Arc<[Arc<Grant>]>;

/// The grants on a key that name a caller, also when there are none; the caller by its ARN.
#[derive(Default)]
pub(super) struct GrantsTo {
    of_keys: HashMap<KeyId, HashMap<Box<str>, ListOfGrants>>,
    lists: usize,
    /// Grants in all lists.
    grants: usize,
}

impl GrantsTo {
    pub(super) fn get(&self, key: KeyId, caller: &str) -> Option<ListOfGrants> {
        self.of_keys.get(&key)?.get(caller).cloned()
    }

    pub(super) fn remember(&mut self, key: KeyId, caller: &str, list: ListOfGrants) {
        if self.lists >= MAX_CACHED || self.grants + list.len() > MAX_CACHED_IN_LISTS {
            *self = Self::default();
        }
        self.grants += list.len();
        self.lists += 1;
        if let Some(before) = self.of_keys.entry(key).or_default().insert(caller.into(), list) {
            self.lists -= 1;
            self.grants -= before.len();
        }
    }

    fn forget(&mut self, key: &KeyId) {
        for list in self.of_keys.remove(key).into_iter().flat_map(HashMap::into_values) {
            self.lists -= 1;
            self.grants -= list.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::encryption_context::EncryptionContext;
    use crate::policy::{GrantConstraint, GrantOperation, GrantTerms, PrincipalArn};
    use crate::time::UnixTime;

    use super::*;

    #[test]
    fn lists_of_grants_are_bounded_by_the_grants_in_them() {
        let grant = Arc::new(Grant {
            id: GrantId::from_bytes([7; 32]),
            resource: "key".into(),
            name: None,
            terms: GrantTerms {
                grantee: PrincipalArn::parse("arn:aws:iam::111122223333:user/alice").unwrap(),
                retiring: None,
                operations: [GrantOperation::Decrypt].into_iter().collect(),
                constraint: Some(GrantConstraint::EncryptionContextEquals(EncryptionContext::EMPTY)),
            },
            issuing_account: "111122223333".into(),
            created_at: UnixTime::from_secs(0),
        });
        let key = |number: usize| KeyId::from_bytes([number as u8; 16]);
        let counted = |lists: &GrantsTo| {
            let all: Vec<usize> =
                lists.of_keys.values().flat_map(HashMap::values).map(|list| list.len()).collect();
            (all.len(), all.iter().sum::<usize>())
        };
        let mut lists = GrantsTo::default();
        for caller in 0..10 {
            lists.remember(key(caller % 2), &caller.to_string(), vec![Arc::clone(&grant); 20_000].into());
            assert!(lists.grants <= MAX_CACHED_IN_LISTS, "{} grants", lists.grants);
            assert_eq!((lists.lists, lists.grants), counted(&lists));
            assert_eq!(lists.get(key(caller % 2), &caller.to_string()).unwrap().len(), 20_000);
        }
        // The same list again takes the place of the one before.
        for _ in 0..10 {
            lists.remember(key(1), "9", vec![Arc::clone(&grant); 10].into());
        }
        assert_eq!((lists.lists, lists.grants), counted(&lists));
        lists.forget(&key(1));
        assert_eq!(lists.get(key(1), "9"), None);
        assert_eq!((lists.lists, lists.grants), counted(&lists));
        for caller in 100..100 + 2 * MAX_CACHED {
            lists.remember(key(caller), &caller.to_string(), Arc::default());
        }
        assert!(lists.lists <= MAX_CACHED);
        assert_eq!((lists.lists, lists.grants), counted(&lists));
    }

    #[test]
    fn only_what_changed_is_forgotten() {
        let change =
            |number, what: &str, id: &str| Change { number, what: what.to_owned(), id: id.to_owned() };
        let seen = |change| Seen { data_version: change, change };
        let remembering = || {
            let mut cache = Cache { seen: seen(5), ..Cache::default() };
            cache.identity_policies.remember(holder("a"), Arc::default());
            cache.identity_policies.remember(holder("b"), Arc::default());
            cache
        };
        let left =
            |cache: &Cache| ["a", "b"].map(|name| cache.identity_policies.get(&holder(name)).is_some());
        let alice = holder("a");

        let last = || change(5, "key", KEY);

        let mut cache = remembering();
        cache.follow(seen(7), &[last(), change(6, "policies", alice.as_str()), change(7, "key", KEY)]);
        assert_eq!((left(&cache), cache.seen), ([false, true], seen(7)));
        cache.follow(Seen { data_version: 9, change: 7 }, &[change(7, "key", KEY)]);
        assert_eq!(left(&cache), [false, true], "nothing that is remembered changed");

        for (why, changes) in [
            ("some are not known any more", vec![change(7, "key", KEY)]),
            ("one is missing", vec![last(), change(6, "key", KEY), change(8, "key", KEY)]),
            ("of a kind that is not known here", vec![last(), change(6, "moon", "full")]),
            ("no id", vec![last(), change(6, "grant", "full")]),
            ("the file is an earlier one", vec![]),
        ] {
            let mut cache = remembering();
            cache.follow(seen(8), &changes);
            assert_eq!((left(&cache), cache.seen), ([false, false], seen(8)), "{why}");
        }

        let mut cache = Cache::default();
        cache.identity_policies.remember(holder("b"), Arc::default());
        cache.follow(seen(1), &[change(1, "key", KEY)]);
        assert_eq!(left(&cache), [false, true], "the first change of all");
    }

    const KEY: &str = "0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";

    fn holder(name: &str) -> PolicyHolder {
        PolicyHolder::parse(&format!("arn:aws:iam::111122223333:user/{name}")).unwrap()
    }
}
