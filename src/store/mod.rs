//! Where keys, aliases, policies, credentials and operators are kept.
//!
//! One interface, [`Store`], in a part for each table; material and secrets reach it wrapped and leave it wrapped.

mod credential;
mod operator;
mod sqlite;

pub use credential::{Credential, credential_wrapping_context};
pub use operator::{InvalidOperatorName, Operator, OperatorName};
pub use sqlite::{MAX_STALENESS, SqliteStore};

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::keys::{
    AliasName, AutomaticRotation, Key, KeyId, KeyIdentifier, KeyMaterialId, LastUsage, Realm, Rotation,
    WrappedKeyMaterial,
};
use crate::metrics::{Caches, KeyCounts};
use crate::policy::{
    AttachedPolicy, Grant, GrantId, IdentityPolicy, KeyPolicy, PolicyHolder, PolicyName, PrincipalArn,
};
use crate::time::UnixTime;

/// A key together with the aliases that name it.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// The key.
    pub key: Key,
    /// Its alias names, sorted.
    pub aliases: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// An alias as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasEntry {
    /// Its name.
    pub name: AliasName,
    /// The key that it names.
    pub key: KeyId,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last pointed to a key.
    pub updated_at: UnixTime,
}

/// Everything that the broker keeps, over its parts, one for each table.
///
/// A change is durable when its call returns, and every read that begins later sees it, in this process and in others.
#[async_trait]
pub trait Store:
    KeyStore
    + KeyMaterialStore
    + KeyUsageStore
    + AliasStore
    + TagStore
    + CredentialStore
    + IdentityPolicyStore
    + GrantStore
    + OperatorStore
{
    /// How often reads are answered from memory.
    fn caches(&self) -> Caches;

    /// Whose keys these are.
    async fn realm(&self) -> Result<Realm, StoreError>;

    /// The value that [`Store`]'s maker put in to recognise the root key by.
    async fn root_key_check(&self) -> Result<Vec<u8>, StoreError>;
}

/// Keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The key that an id or alias names.
    async fn find_key(&self, identifier: &KeyIdentifier) -> Result<Option<Arc<KeyEntry>>, StoreError>;

    /// Up to `limit` keys in order of their ids, behind the key `after`.
    async fn list_keys(&self, after: Option<KeyId>, limit: u32) -> Result<Vec<Arc<KeyEntry>>, StoreError>;

    /// As [`KeyStore::list_keys`], of their ids alone.
    async fn list_key_ids(&self, after: Option<KeyId>, limit: u32) -> Result<Vec<KeyId>, StoreError>;

    /// How many keys there are in each state at `now`.
    async fn count_keys(&self, now: UnixTime) -> Result<KeyCounts, StoreError>;

    /// Adds a key with its material.
    async fn insert_key(&self, key: &Key) -> Result<(), StoreError> {
        self.insert_tagged_key(key, &BTreeMap::new()).await
    }

    /// Adds a key with its material and its first tags.
    async fn insert_tagged_key(&self, key: &Key, tags: &BTreeMap<String, String>) -> Result<(), StoreError>;

    /// Replaces a key's policy.
    async fn set_policy(&self, key: KeyId, policy: &KeyPolicy) -> Result<(), StoreError>;

    /// Enables or disables a key. Yields false, and nothing is changed, where it is pending deletion.
    async fn set_enabled(&self, key: KeyId, enabled: bool) -> Result<bool, StoreError>;

    /// Replaces a key's description.
    async fn set_description(&self, key: KeyId, description: &str) -> Result<(), StoreError>;

    /// Puts a key into the state pending deletion. Yields false, and nothing is changed, where it is already.
    async fn schedule_deletion(&self, key: KeyId, deletion_at: UnixTime) -> Result<bool, StoreError>;

    /// Makes a key that is pending deletion a disabled one. Yields false where it is not pending deletion.
    async fn cancel_deletion(&self, key: KeyId) -> Result<bool, StoreError>;

    /// Up to 1,000 keys whose time has come by `now`.
    async fn keys_to_delete(&self, now: UnixTime) -> Result<Vec<KeyId>, StoreError>;

    /// Destroys a key whose time has come by `now`, its material, its aliases and its grants. Yields false where its deletion was
    /// cancelled meanwhile. The file keeps no copy of what is destroyed; backups of it may.
    async fn delete_key(&self, key: KeyId, now: UnixTime) -> Result<bool, StoreError>;
}

/// The versions of the keys' material.
#[async_trait]
pub trait KeyMaterialStore: Send + Sync {
    /// Makes new material the key's current one, and puts off its next rotation by itself where `next` says so: both or
    /// neither. Yields false, and nothing is changed, where the key was rotated on demand as often as it can be.
    async fn add_material(
        &self,
        key: KeyId,
        material: &WrappedKeyMaterial,
        next: Option<AutomaticRotation>,
    ) -> Result<bool, StoreError>;

    /// Adds imported material, of a key pair with the public half, or gives it back to a version that the key has had
    /// before, and enables the key. Yields
    /// false, and nothing is changed, where the key has new material that awaits its rotation, or is pending deletion.
    async fn import_material(
        &self,
        key: KeyId,
        material: &WrappedKeyMaterial,
        public_key: Option<&[u8]>,
    ) -> Result<bool, StoreError>;

    /// Makes the imported material that awaits its rotation the current one. Yields false, and nothing is changed, where
    /// there is none, or the key was rotated on demand as often as it can be.
    async fn rotate_to_imported(&self, key: KeyId, rotation: Rotation) -> Result<bool, StoreError>;

    /// Destroys imported material; with `expired_by`, only what has expired by then. Of a version that was in use its id
    /// remains. Yields false where there is no such material. The file keeps no copy of it; backups of it may.
    async fn delete_material(
        &self,
        key: KeyId,
        material: &KeyMaterialId,
        expired_by: Option<UnixTime>,
    ) -> Result<bool, StoreError>;

    /// Up to 1,000 versions of imported material that have expired by `now`.
    async fn materials_to_delete(&self, now: UnixTime) -> Result<Vec<(KeyId, KeyMaterialId)>, StoreError>;

    /// Says whether and when a key is rotated by itself.
    async fn set_rotation(&self, key: KeyId, rotation: Option<AutomaticRotation>) -> Result<(), StoreError>;

    /// Up to 1,000 enabled keys whose rotation is due at `now`.
    async fn keys_to_rotate(&self, now: UnixTime) -> Result<Vec<KeyId>, StoreError>;
}

/// When keys were last used.
#[async_trait]
pub trait KeyUsageStore: Send + Sync {
    /// Notes these usages, except of keys that are gone or were used later.
    async fn set_last_usages(&self, usages: &[(KeyId, LastUsage)]) -> Result<(), StoreError>;

    /// The last noted usage of a key.
    async fn last_usage(&self, key: KeyId) -> Result<Option<LastUsage>, StoreError>;

    /// Since when usages are noted; the epoch where they always were.
    async fn usage_tracked_since(&self) -> Result<UnixTime, StoreError>;
}

/// The further names of keys.
#[async_trait]
pub trait AliasStore: Send + Sync {
    /// Names a key by a new alias.
    async fn insert_alias(&self, name: &AliasName, key: KeyId, now: UnixTime) -> Result<(), StoreError>;

    /// Points an alias that names the key `from` to another one. An alias that names something else by now is not there.
    async fn update_alias(
        &self,
        name: &AliasName,
        from: KeyId,
        to: KeyId,
        now: UnixTime,
    ) -> Result<(), StoreError>;

    /// Takes an alias of this key away. An alias that names something else by now is not there.
    async fn delete_alias(&self, name: &AliasName, key: KeyId) -> Result<(), StoreError>;

    /// Up to `limit` aliases in order of their names, behind the name `after`; with `key`, those of that key.
    async fn list_aliases(
        &self,
        key: Option<KeyId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AliasEntry>, StoreError>;
}

/// The tags of keys.
#[async_trait]
pub trait TagStore: Send + Sync {
    /// Gives a key tags, in place of those of the same keys. Yields false, and nothing is changed, where it would have
    /// more than there can be.
    async fn set_tags(&self, key: KeyId, tags: &BTreeMap<String, String>) -> Result<bool, StoreError>;

    /// Takes the tags of these keys away, as far as they are there.
    async fn delete_tags(&self, key: KeyId, tag_keys: &[String]) -> Result<(), StoreError>;
}

/// Access keys.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// Adds a credential.
    async fn insert_credential(&self, credential: &Credential) -> Result<(), StoreError>;

    /// The credential with this access key id.
    async fn find_credential(&self, access_key_id: &str) -> Result<Option<Arc<Credential>>, StoreError>;

    /// Up to `limit` principals that have a credential, each once, in order of their ARNs.
    async fn principals_with_credentials(&self, limit: u32) -> Result<Vec<PrincipalArn>, StoreError>;
}

/// Policies attached to one principal at most (IAM quotas: managed policies of a role, the most that can be asked for).
pub const MAX_ATTACHED_POLICIES: usize = 20;

/// The policies that are attached to users and roles.
#[async_trait]
pub trait IdentityPolicyStore: Send + Sync {
    /// Attaches a policy, in place of one of the same name.
    async fn put_identity_policy(
        &self,
        holder: &PolicyHolder,
        name: &PolicyName,
        policy: &IdentityPolicy,
    ) -> Result<(), StoreError>;

    /// Takes a policy away. Yields false where there was none of this name.
    async fn delete_identity_policy(
        &self,
        holder: &PolicyHolder,
        name: &PolicyName,
    ) -> Result<bool, StoreError>;

    /// All the policies of a principal, by name.
    async fn identity_policies(&self, holder: &PolicyHolder) -> Result<Arc<[AttachedPolicy]>, StoreError>;
}

/// Permissions on keys beside their policies.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// Adds a grant on a key and yields its id; or, where the key has a grant of the same name, terms and issuing account
    /// already, adds nothing and yields that one's.
    async fn insert_grant(&self, key: KeyId, grant: &Grant) -> Result<GrantId, StoreError>;

    /// The grant with this id.
    async fn find_grant(&self, id: &GrantId) -> Result<Option<Arc<Grant>>, StoreError>;

    /// Every grant on a key whose grantee covers `caller`.
    async fn grants_to(&self, key: KeyId, caller: &PrincipalArn) -> Result<Arc<[Arc<Grant>]>, StoreError>;

    /// Up to `limit` grants on a key in order of their ids, behind the grant `after`; those to exactly `grantee`, or all.
    async fn list_grants(
        &self,
        key: KeyId,
        grantee: Option<&PrincipalArn>,
        after: Option<&GrantId>,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError>;

    /// Up to `limit` grants on any key that have exactly this retiring principal, in order of their ids, behind the grant
    /// `after`.
    async fn list_retirable_grants(
        &self,
        retiring: &PrincipalArn,
        after: Option<&GrantId>,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError>;

    /// Takes a grant away. Yields false where it is not there.
    async fn delete_grant(&self, id: &GrantId) -> Result<bool, StoreError>;
}

/// The people who may sign in to the console.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// Adds an operator. Yields false, and nothing is changed, where there is one of this name.
    async fn insert_operator(&self, operator: &Operator) -> Result<bool, StoreError>;

    /// The operator of this name.
    async fn find_operator(&self, name: &OperatorName) -> Result<Option<Operator>, StoreError>;

    /// All operators, by name.
    async fn list_operators(&self) -> Result<Vec<Operator>, StoreError>;

    /// Takes an operator away. Yields false where there is none of this name.
    async fn delete_operator(&self, name: &OperatorName) -> Result<bool, StoreError>;
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refuses or is not there.
    #[error("the store fails while {doing}: {error}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database says.
        error: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("the store's schema cannot be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The store holds something that this broker did not write.
    #[error("the store holds an invalid {what}: {problem}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The store exists already.
    #[error("{0} exists already and holds a store")]
    Exists(String),
    /// There is no store.
    #[error("{0} is not there: no store has been made")]
    Missing(String),
    /// The alias is taken.
    #[error("an alias with the name {0} already exists")]
    AliasExists(AliasName),
    /// The alias is not there.
    #[error("alias {0} does not exist")]
    NoSuchAlias(AliasName),
    /// The key is not there.
    #[error("key {0} does not exist")]
    NoSuchKey(KeyId),
    /// No further policy can be attached.
    #[error("{0} has {MAX_ATTACHED_POLICIES} policies, the most that there can be")]
    TooManyPolicies(PolicyHolder),
    /// A key has as many grants as it can have.
    #[error("the key has {limit} grants, the most that are possible")]
    TooManyGrants {
        /// The most that are possible.
        limit: u32,
    },
}
