use std::sync::Arc;

use super::Invocation;
use super::error::OperationError;
use super::last_usages::LastUsages;
use crate::attestation::{AttestedRecipient, Verifier};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{
    self, CiphertextBlob, DataKey, FromUnwrapped, Key, KeyId, KeyIdentifier, KeyMaterial, KeyStateError,
    LastUsage, Realm, SealError, WrappedKeyMaterial,
};
use crate::policy::{
    self, AllowedBy, Denial, Grant, GrantTerms, KeyPolicy, Permit, Policies, Question, RetiredAs,
};
use crate::root_key::{RootKey, RootKeyError};
use crate::store::{KeyEntry, Store, StoreError};
use crate::time::UnixTime;

/// What is wrapped and kept beside the store, so that a root key that does not belong to it is noticed at once.
const ROOT_KEY_CHECK_CONTEXT: &[u8] = b"nitro-key-broker root key check v1\0";

/// Everything that the operations work with.
pub struct Broker {
    realm: Realm,
    store: Arc<dyn Store>,
    root_key: Arc<dyn RootKey>,
    verifier: Verifier,
    last_usages: LastUsages,
}

/// Why there is no broker to work with.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key is another one than the store was made with.
    #[error("the root key does not belong to this store: {0}")]
    WrongRootKey(RootKeyError),
}

/// What a key policy is asked about one operation.
pub(super) struct Access<'a> {
    /// Such as `kms:Decrypt`.
    pub(super) action: &'static str,
    pub(super) entry: &'a KeyEntry,
    /// How the request named the key, if it did.
    pub(super) named_as: Option<&'a KeyIdentifier>,
    pub(super) recipient: Option<&'a AttestedRecipient>,
    pub(super) encryption_context: &'a EncryptionContext,
    /// What the request encrypts or decrypts with.
    pub(super) encryption_algorithm: Option<&'static str>,
    /// The spec of the data key pair that is asked for.
    pub(super) data_key_pair_spec: Option<&'static str>,
    /// The grant that CreateGrant is to make.
    pub(super) new_grant: Option<&'a GrantTerms>,
    /// What the request does with a key for something else than encryption.
    pub(super) algorithms: policy::Algorithms,
}

impl<'a> Access<'a> {
    /// The least that there is to ask: neither an enclave nor an encryption context has a part.
    pub(super) fn new(action: &'static str, entry: &'a KeyEntry) -> Self {
        static NO_CONTEXT: EncryptionContext = EncryptionContext::EMPTY;
        Self {
            action,
            entry,
            named_as: None,
            recipient: None,
            encryption_context: &NO_CONTEXT,
            encryption_algorithm: None,
            data_key_pair_spec: None,
            new_grant: None,
            algorithms: policy::Algorithms::default(),
        }
    }
}

impl Broker {
    /// What a new store keeps to recognise its root key by.
    ///
    /// # Errors
    /// When the root key cannot wrap.
    pub async fn root_key_check(root_key: &dyn RootKey) -> Result<Vec<u8>, RootKeyError> {
        root_key.wrap(ROOT_KEY_CHECK_CONTEXT, &[]).await
    }

    /// A broker over `store`, whose material `root_key` unwraps.
    ///
    /// # Errors
    /// When the store fails or the root key does not belong to it.
    pub async fn new(
        store: Arc<dyn Store>,
        root_key: Arc<dyn RootKey>,
        verifier: Verifier,
    ) -> Result<Self, BrokerError> {
        let check = store.root_key_check().await?;
        root_key.unwrap_key(ROOT_KEY_CHECK_CONTEXT, &check).await.map_err(BrokerError::WrongRootKey)?;
        Ok(Self {
            realm: store.realm().await?,
            store,
            root_key,
            verifier,
            last_usages: LastUsages::default(),
        })
    }

    /// Where the keys live.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Where everything is kept.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What key material and secrets are wrapped under.
    pub fn root_key(&self) -> &dyn RootKey {
        &*self.root_key
    }

    /// What verifies attestation documents.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Notes that an operation with this key succeeded.
    pub fn note_usage(&self, key: KeyId, usage: LastUsage) {
        self.last_usages.note(key, usage);
    }

    /// The last usage of a key, also one that the store has not been told of.
    pub(super) async fn last_usage(&self, key: KeyId) -> Result<Option<LastUsage>, StoreError> {
        let stored = self.store.last_usage(key).await?;
        Ok(stored.into_iter().chain(self.last_usages.of(key)).max_by_key(|usage| usage.time))
    }

    /// Tells the store of every usage that it does not know yet.
    ///
    /// # Errors
    /// When the store fails; the usages are kept for the next time.
    pub async fn store_usages(&self) -> Result<(), StoreError> {
        let usages = self.last_usages.all();
        if !usages.is_empty() {
            self.store.set_last_usages(&usages).await?;
            self.last_usages.forget(&usages);
        }
        Ok(())
    }

    /// The key that the member `KeyId` names, in whatever state.
    pub(super) async fn key(
        &self,
        identifier: &KeyIdentifier,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        let entry = self.store.find_key(identifier).await?.ok_or_else(|| {
            OperationError::NotFound(match identifier {
                KeyIdentifier::Key(id) => format!("Key '{}'", self.realm.key_arn(*id)),
                KeyIdentifier::Alias(name) => format!("Alias {}", self.realm.alias_arn(name)),
            })
        })?;
        event.add_key(&entry.key.arn);
        Ok(entry)
    }

    /// As [`Broker::key`], in a state that allows its use.
    pub(super) async fn usable_key(
        &self,
        identifier: &KeyIdentifier,
        now: UnixTime,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        let entry = self.key(identifier, event).await?;
        entry.key.require_enabled(now)?;
        Ok(entry)
    }

    /// The key that opens a ciphertext: the one that the request names, or else the one that the ciphertext does.
    pub(super) async fn key_of_ciphertext(
        &self,
        named: Option<&KeyIdentifier>,
        blob: Option<&CiphertextBlob>,
        now: UnixTime,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        match (named, blob) {
            (Some(identifier), _) => self.usable_key(identifier, now, event).await,
            (None, Some(blob)) => {
                let found = self.usable_key(&KeyIdentifier::Key(blob.key_id()), now, event).await;
                found.map_err(|error| match error {
                    OperationError::NotFound(_) => OperationError::CiphertextOfUnknownKey,
                    error => error,
                })
            }
            (None, None) => Err(OperationError::CiphertextOfUnknownKey),
        }
    }

    /// Asks the key's policy, and where it neither allows nor denies, the grants that name the caller.
    pub(super) async fn authorize(
        &self,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Permit, OperationError> {
        let policy = &access.entry.key.policy;
        let mut decision = self.ask(&Policies { key: policy, grants: &[] }, access, invocation);
        if let (Err(denial), Some(caller)) = (&decision, invocation.caller.arn())
            && denial.leaves_room_for_a_grant()
        {
            let grants = self.store.grants_to(access.entry.key.id, caller).await?;
            if !grants.is_empty() {
                decision = self.ask(&Policies { key: policy, grants: &grants }, access, invocation);
            }
        }
        let permit = decision.inspect_err(|denial| event.explain("reasons", denial.reasons()))?;
        // The one operation that asks two keys: each answer has its place.
        let is_source = access.action == "kms:ReEncryptFrom";
        match permit.allowed_by() {
            AllowedBy::Statement(statement) => {
                event.explain(if is_source { "sourceStatement" } else { "statement" }, statement.to_string());
            }
            AllowedBy::Grant(grant) => {
                event.explain(if is_source { "sourceGrant" } else { "grant" }, grant.to_string());
            }
        }
        Ok(permit)
    }

    /// As what the caller may retire `grant`.
    pub(super) fn authorize_retirement(
        &self,
        grant: &Grant,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<RetiredAs, OperationError> {
        let policies = Policies { key: &access.entry.key.policy, grants: &[] };
        let retired_as = policy::decide_retirement(&policies, &question(access, invocation), grant)
            .inspect_err(|denial| event.explain("reasons", denial.reasons()))?;
        Ok(retired_as)
    }

    /// Whether `policy` would allow what the key's own policy is not asked about.
    pub(super) fn would_allow(
        &self,
        policy: &KeyPolicy,
        access: &Access<'_>,
        invocation: &Invocation,
    ) -> bool {
        self.ask(&Policies { key: policy, grants: &[] }, access, invocation).is_ok()
    }

    fn ask(
        &self,
        policies: &Policies<'_>,
        access: &Access<'_>,
        invocation: &Invocation,
    ) -> Result<Permit, Box<Denial>> {
        policy::decide(policies, &question(access, invocation))
    }

    /// The current version of a key's material, as what the key's usage makes of it.
    pub(super) async fn current_material<M: FromUnwrapped>(
        &self,
        permit: &Permit,
        key: &Key,
    ) -> Result<M, OperationError> {
        let wrapped = key.current_material().ok_or_else(|| StoreError::Corrupt {
            what: "key",
            problem: format!("{} has no material", key.arn),
        })?;
        self.unwrap_material(permit, key, wrapped).await
    }

    /// What `blob` holds, if it was sealed under this key and context.
    pub(super) async fn open(
        &self,
        permit: &Permit,
        key: &Key,
        context: &EncryptionContext,
        blob: &CiphertextBlob,
    ) -> Result<DataKey, OperationError> {
        if blob.key_id() != key.id {
            return Err(OperationError::IncorrectKey(key.arn.clone()));
        }
        let wrapped = key.material(blob.material_id()).ok_or(OperationError::CiphertextOfUnknownKey)?;
        let material: KeyMaterial = self.unwrap_material(permit, key, wrapped).await?;
        Ok(keys::open(permit, key, &material, context, blob)?)
    }

    /// A version of a key's material in the clear, for whoever holds a permit.
    async fn unwrap_material<M: FromUnwrapped>(
        &self,
        permit: &Permit,
        key: &Key,
        wrapped: &WrappedKeyMaterial,
    ) -> Result<M, OperationError> {
        if permit.resource() != key.arn.as_str() {
            return Err(SealError::PermitForAnotherKey.into());
        }
        let bytes = wrapped.wrapped().ok_or_else(|| KeyStateError::PendingImport(key.arn.clone()))?;
        let context = wrapped.id().wrapping_context(key.id);
        let bytes = self.root_key.unwrap_key(&context, bytes).await?;
        Ok(M::from_unwrapped(key, *wrapped.id(), &bytes)?)
    }
}

fn question<'a>(access: &Access<'a>, invocation: &'a Invocation) -> Question<'a> {
    let request_alias = match access.named_as {
        Some(KeyIdentifier::Alias(name)) => Some(name.as_str()),
        _ => None,
    };
    Question {
        caller: &invocation.caller,
        action: access.action,
        resource: access.entry.key.arn.as_str(),
        resource_aliases: &access.entry.aliases,
        request_alias,
        recipient: access.recipient,
        encryption_context: access.encryption_context,
        key_spec: access.entry.key.spec.name(),
        key_usage: access.entry.key.usage.name(),
        key_origin: access.entry.key.origin.name(),
        encryption_algorithm: access.encryption_algorithm,
        data_key_pair_spec: access.data_key_pair_spec,
        new_grant: access.new_grant,
        algorithms: access.algorithms,
        source_ip: invocation.source_ip,
        secure_transport: invocation.secure_transport,
        now: invocation.now,
    }
}
