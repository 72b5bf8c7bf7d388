//! The policies of today, or those that somebody means to put.

use std::collections::HashMap;
use std::sync::Arc;

use super::recorded::RecordedDecision;
use super::replay::Rulings;
use crate::keys::{KeyId, KeyIdentifier, Realm};
use crate::policy::{AttachedPolicy, Caller, Grant, KeyPolicy, PolicyHolder};
use crate::store::{KeyEntry, Store, StoreError};

/// Keys, principals and their grants that are remembered at most; then all are forgotten and looked up anew.
const MAX_REMEMBERED: usize = 65_536;

/// What a store has now, with policies in place of those that are to be tried. Lookups are remembered.
pub struct CurrentPolicies<'s> {
    store: Option<(&'s dyn Store, Realm)>,
    scope: Scope,
    keys: HashMap<String, Option<Arc<KeyEntry>>>,
    identity: HashMap<PolicyHolder, Arc<[AttachedPolicy]>>,
    grants: HashMap<(KeyId, String), Arc<[Arc<Grant>]>>,
}

/// Policies to try, and with them which decisions they have a part in: all, where there are none to try.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// A key's ARN, and the policy to try in place of its own.
    pub key: Option<(String, Arc<KeyPolicy>)>,
    /// A principal, and all the policies that it would have.
    pub identity: Option<(PolicyHolder, Arc<[AttachedPolicy]>)>,
}

/// What is asked about one caller and one resource.
pub struct Applicable {
    key: Option<Arc<KeyPolicy>>,
    identity: Arc<[AttachedPolicy]>,
    grants: Arc<[Arc<Grant>]>,
}

impl Applicable {
    /// The policies in the form that a recorded question is put to.
    pub fn rulings(&self) -> Rulings<'_> {
        Rulings { key: self.key.as_deref(), identity: &self.identity, grants: &self.grants }
    }
}

impl Scope {
    /// Whether the policies to try have a part in a decision.
    pub fn includes(&self, recorded: &RecordedDecision) -> bool {
        let Self { key, identity } = self;
        if key.is_none() && identity.is_none() {
            return true;
        }
        let is_of_key = key.as_ref().is_some_and(|(arn, _)| *arn == recorded.facts.resource);
        let holder = recorded.facts.caller.arn().and_then(|arn| arn.policy_holder());
        let is_of_principal = identity.as_ref().is_some_and(|(tried, _)| Some(tried) == holder);
        is_of_key || is_of_principal
    }
}

impl<'s> CurrentPolicies<'s> {
    /// The policies to try, over those of `store`; without one, nothing else is known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(store: Option<&'s dyn Store>, scope: Scope) -> Result<Self, StoreError> {
        let store = match store {
            Some(store) => Some((store, store.realm().await?)),
            None => None,
        };
        Ok(Self { store, scope, keys: HashMap::new(), identity: HashMap::new(), grants: HashMap::new() })
    }

    /// What is tried.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Everything that may speak for or against what `caller` asks of `resource`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(&mut self, caller: &Caller, resource: &str) -> Result<Applicable, StoreError> {
        let entry = self.key(resource).await?;
        let tried = self.scope.key.as_ref().filter(|(arn, _)| arn == resource);
        let key = tried.map(|(_, policy)| policy).or(entry.as_ref().map(|entry| &entry.key.policy));
        Ok(Applicable {
            key: key.map(Arc::clone),
            identity: self.identity(caller).await?,
            grants: self.grants(entry.as_deref(), caller).await?,
        })
    }

    async fn key(&mut self, resource: &str) -> Result<Option<Arc<KeyEntry>>, StoreError> {
        let Some((store, realm)) = &self.store else { return Ok(None) };
        if let Some(found) = self.keys.get(resource) {
            return Ok(found.clone());
        }
        let found = match KeyIdentifier::parse(resource, realm) {
            Ok(identifier @ KeyIdentifier::Key(_)) => store.find_key(&identifier).await?,
            Ok(KeyIdentifier::Alias(_)) | Err(_) => None,
        };
        make_room(&mut self.keys).insert(resource.to_owned(), found.clone());
        Ok(found)
    }

    async fn identity(&mut self, caller: &Caller) -> Result<Arc<[AttachedPolicy]>, StoreError> {
        let Some(holder) = caller.arn().and_then(|arn| arn.policy_holder()) else {
            return Ok(Arc::default());
        };
        if let Some((_, tried)) = self.scope.identity.as_ref().filter(|(tried, _)| tried == holder) {
            return Ok(Arc::clone(tried));
        }
        let Some((store, _)) = &self.store else { return Ok(Arc::default()) };
        if let Some(found) = self.identity.get(holder) {
            return Ok(Arc::clone(found));
        }
        let found = store.identity_policies(holder).await?;
        make_room(&mut self.identity).insert(holder.clone(), Arc::clone(&found));
        Ok(found)
    }

    async fn grants(
        &mut self,
        key: Option<&KeyEntry>,
        caller: &Caller,
    ) -> Result<Arc<[Arc<Grant>]>, StoreError> {
        let (Some((store, _)), Some(entry), Some(arn)) = (&self.store, key, caller.arn()) else {
            return Ok(Arc::default());
        };
        let name = (entry.key.id, arn.as_str().to_owned());
        if let Some(found) = self.grants.get(&name) {
            return Ok(Arc::clone(found));
        }
        let found = store.grants_to(entry.key.id, arn).await?;
        make_room(&mut self.grants).insert(name, Arc::clone(&found));
        Ok(found)
    }
}

fn make_room<K, V>(remembered: &mut HashMap<K, V>) -> &mut HashMap<K, V> {
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
    remembered
}
