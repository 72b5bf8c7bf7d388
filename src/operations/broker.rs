use std::sync::Arc;

use super::Invocation;
use super::error::OperationError;
use super::last_usages::LastUsages;
use crate::attestation::{self, Verifier};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{
    self, CiphertextBlob, DataKey, FromUnwrapped, Key, KeyId, KeyIdentifier, KeyMaterial, KeyStateError,
    LastUsage, Realm, SealError, WrappedKeyMaterial,
};
use crate::metrics::{Caches, RequestMetrics, Stage};
use crate::policy::{Permit, Refusal};
use crate::root_key::{RootKey, RootKeyError};
use crate::store::{KeyEntry, Store, StoreError};
use crate::time::UnixTime;
use crate::trace;

/// What is wrapped and kept beside the store, so that a root key that does not belong to it is noticed at once.
const ROOT_KEY_CHECK_CONTEXT: &[u8] = b"nitro-key-broker root key check v1\0";

/// Everything that the operations work with.
pub struct Broker {
    realm: Realm,
    store: Arc<dyn Store>,
    root_key: Arc<dyn RootKey>,
    verifier: Verifier,
    last_usages: LastUsages,
    metrics: RequestMetrics,
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
        check_root_key(&*store, &*root_key).await?;
        Ok(Self {
            realm: store.realm().await?,
            store,
            root_key,
            verifier,
            last_usages: LastUsages::default(),
            metrics: RequestMetrics::new(
                attestation::Step::ALL.map(attestation::Step::name),
                Refusal::ALL.map(|refusal| (refusal.name(), refusal.side())),
            ),
        })
    }

    /// Whether the store answers, and then whether the root key still opens what it opened at the start.
    ///
    /// # Errors
    /// The first of the two that fails.
    pub async fn check(&self) -> Result<(), BrokerError> {
        check_root_key(&*self.store, &*self.root_key).await
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

    /// What is counted of requests.
    pub fn metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// Everything that is remembered.
    pub fn caches(&self) -> Caches {
        Caches([self.verifier.caches().0, self.store.caches().0].concat())
    }

    /// Carries out a stage of a request.
    pub(super) fn in_stage<T, E: Into<OperationError>>(
        &self,
        stage: Stage,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, OperationError> {
        trace::in_stage(&self.metrics.stages, stage, || work().map_err(Into::into))
    }

    /// As [`Broker::in_stage`], of work that waits.
    pub(super) async fn in_async_stage<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, OperationError> {
        trace::in_async_stage(&self.metrics.stages, stage, work).await
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

    /// What the member `KeyId` names for this caller.
    pub(super) fn identify(
        &self,
        text: &str,
        invocation: &Invocation,
    ) -> Result<KeyIdentifier, OperationError> {
        let identifier = KeyIdentifier::parse(text, &self.realm)?;
        if !text.starts_with("arn:") {
            self.require_own_account(&identifier, invocation)?;
        }
        Ok(identifier)
    }

    /// Finds nothing for callers of another account: without an ARN, KMS looks in the caller's own (KMS developer guide,
    /// *Allowing users in other accounts to use a KMS key*).
    pub(super) fn require_own_account(
        &self,
        identifier: &KeyIdentifier,
        invocation: &Invocation,
    ) -> Result<(), OperationError> {
        match invocation.caller.account().filter(|account| *account != self.realm.account()) {
            Some(account) => Err(not_found(identifier, &self.realm.of_account(account))),
            None => Ok(()),
        }
    }

    /// The key that the member `KeyId` names, in whatever state.
    pub(super) async fn key(
        &self,
        identifier: &KeyIdentifier,
        event: &mut AuditEvent,
    ) -> Result<Arc<KeyEntry>, OperationError> {
        let found = async {
            let entry = self.store.find_key(identifier).await?;
            entry.ok_or_else(|| not_found(identifier, &self.realm))
        };
        let entry = self.in_async_stage(Stage::FindKey, found).await?;
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
        self.in_stage(Stage::UseKey, || keys::open(permit, key, &material, context, blob))
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
        let unwrapped = async {
            let bytes = self.root_key.unwrap_key(&context, bytes).await?;
            Ok(M::from_unwrapped(key, *wrapped.id(), &bytes)?)
        };
        self.in_async_stage(Stage::UnwrapKey, unwrapped).await
    }
}

async fn check_root_key(store: &dyn Store, root_key: &dyn RootKey) -> Result<(), BrokerError> {
    let check = store.root_key_check().await?;
    root_key.unwrap_key(ROOT_KEY_CHECK_CONTEXT, &check).await.map_err(BrokerError::WrongRootKey)?;
    Ok(())
}

fn not_found(identifier: &KeyIdentifier, realm: &Realm) -> OperationError {
    OperationError::NotFound(match identifier {
        KeyIdentifier::Key(id) => format!("Key '{}'", realm.key_arn(*id)),
        KeyIdentifier::Alias(name) => format!("Alias {}", realm.alias_arn(name)),
    })
}
