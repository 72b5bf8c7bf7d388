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
    self, Algorithms, AllowedBy, AttachedPolicy, AttachedStatement, Caller, Denial, Grant, GrantTerms,
    KeyPolicy, Particulars, Permit, Policies, Question, RetiredAs,
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
    pub(super) algorithms: Algorithms,
    /// What only some requests say.
    pub(super) particulars: Particulars<'a>,
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
            algorithms: Algorithms::default(),
            particulars: Particulars::default(),
        }
    }
}

/// What the caller's policies are asked about no key that is there.
#[derive(Clone, Copy)]
pub(super) struct KeylessAccess<'a> {
    pub(super) action: &'static str,
    /// The ARN of an alias, or `*`.
    pub(super) resource: &'a str,
    /// Spec, usage and origin of a key that is to be made.
    pub(super) key: Option<(&'static str, &'static str, &'static str)>,
    pub(super) particulars: Particulars<'a>,
}

impl<'a> KeylessAccess<'a> {
    /// The least that there is to ask.
    pub(super) fn new(action: &'static str, resource: &'a str) -> Self {
        Self { action, resource, key: None, particulars: Particulars::default() }
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
        let entry = self.store.find_key(identifier).await?;
        let entry = entry.ok_or_else(|| not_found(identifier, &self.realm))?;
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

    /// Asks the key's policy and the caller's own, and where they neither allow nor deny, the grants that name the caller.
    pub(super) async fn authorize(
        &self,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Permit, OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        let policies = Policies { key: &access.entry.key.policy, identity: &identity, grants: &[] };
        let mut decision = self.ask(&policies, access, invocation);
        if let (Err(denial), Some(caller)) = (&decision, invocation.caller.arn())
            && denial.leaves_room_for_a_grant()
        {
            let grants = self.store.grants_to(access.entry.key.id, caller).await?;
            if !grants.is_empty() {
                decision = self.ask(&Policies { grants: &grants, ..policies }, access, invocation);
            }
        }
        let permit = decision.inspect_err(|denial| event.explain("reasons", denial.reasons()))?;
        explain_permit(&permit, access.action == "kms:ReEncryptFrom", event);
        Ok(permit)
    }

    /// As what the caller may retire `grant`.
    pub(super) async fn authorize_retirement(
        &self,
        grant: &Grant,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<RetiredAs, OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        let policies = Policies { key: &access.entry.key.policy, identity: &identity, grants: &[] };
        let retired_as = policy::decide_retirement(&policies, &self.question_of(access, invocation), grant)
            .inspect_err(|denial| event.explain("reasons", denial.reasons()))?;
        Ok(retired_as)
    }

    /// Whether `policy` in place of the key's own would allow it.
    pub(super) async fn would_allow(
        &self,
        policy: &KeyPolicy,
        access: &Access<'_>,
        invocation: &Invocation,
    ) -> Result<bool, OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        Ok(self.ask(&Policies { key: policy, identity: &identity, grants: &[] }, access, invocation).is_ok())
    }

    /// The policies attached to the caller.
    pub(super) async fn identity_policies(
        &self,
        caller: &Caller,
    ) -> Result<Arc<[AttachedPolicy]>, OperationError> {
        match caller.arn().and_then(|arn| arn.policy_holder()) {
            Some(holder) => Ok(self.store.identity_policies(holder).await?),
            None => Ok(Arc::default()),
        }
    }

    fn ask(
        &self,
        policies: &Policies<'_>,
        access: &Access<'_>,
        invocation: &Invocation,
    ) -> Result<Permit, Box<Denial>> {
        policy::decide(policies, &self.question_of(access, invocation))
    }

    fn question_of<'q>(&'q self, access: &Access<'q>, invocation: &'q Invocation) -> Question<'q> {
        let request_alias = match access.named_as {
            Some(KeyIdentifier::Alias(name)) => Some(name.as_str()),
            _ => None,
        };
        Question {
            resource_aliases: &access.entry.aliases,
            request_alias,
            recipient: access.recipient,
            encryption_context: access.encryption_context,
            key_spec: Some(access.entry.key.spec.name()),
            key_usage: Some(access.entry.key.usage.name()),
            key_origin: Some(access.entry.key.origin.name()),
            tags: &access.entry.tags,
            encryption_algorithm: access.encryption_algorithm,
            data_key_pair_spec: access.data_key_pair_spec,
            new_grant: access.new_grant,
            algorithms: access.algorithms,
            particulars: access.particulars,
            ..self.question(access.action, access.entry.key.arn.as_str(), invocation)
        }
    }

    /// A question about no key, with all that is known about the request itself.
    fn question<'q>(
        &'q self,
        action: &'static str,
        resource: &'q str,
        invocation: &'q Invocation,
    ) -> Question<'q> {
        Question {
            resource_account: self.realm.account(),
            key_spec: None,
            key_usage: None,
            key_origin: None,
            source_ip: invocation.source_ip,
            secure_transport: invocation.secure_transport,
            user_agent: invocation.user_agent.as_deref(),
            region: self.realm.region(),
            ..Question::new(&invocation.caller, action, resource, invocation.now)
        }
    }

    /// Asks the caller's policies alone, about what belongs to no key that is there.
    pub(super) async fn authorize_by_identity(
        &self,
        access: &KeylessAccess<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Option<AttachedStatement>, OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        let KeylessAccess { action, resource, key, particulars } = *access;
        let question = Question {
            key_spec: key.map(|(spec, _, _)| spec),
            key_usage: key.map(|(_, usage, _)| usage),
            key_origin: key.map(|(_, _, origin)| origin),
            particulars,
            ..self.question(action, resource, invocation)
        };
        Ok(policy::decide_by_identity(&identity, &question)
            .inspect_err(|denial| event.explain("reasons", denial.reasons()))?)
    }

    /// Asks the caller's policies whether they deny what something else has allowed.
    pub(super) async fn require_no_deny(
        &self,
        action: &'static str,
        resource: &str,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<(), OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        policy::decide_unless_denied(&identity, &self.question(action, resource, invocation))
            .inspect_err(|denial| event.explain("reasons", denial.reasons()))?;
        Ok(())
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

fn not_found(identifier: &KeyIdentifier, realm: &Realm) -> OperationError {
    OperationError::NotFound(match identifier {
        KeyIdentifier::Key(id) => format!("Key '{}'", realm.key_arn(*id)),
        KeyIdentifier::Alias(name) => format!("Alias {}", realm.alias_arn(name)),
    })
}

/// Says in the record what allowed. The one operation that asks two keys has a place for each answer.
fn explain_permit(permit: &Permit, is_source: bool, event: &mut AuditEvent) {
    let names = match is_source {
        true => ["sourceStatement", "sourceIdentityStatement", "sourceGrant"],
        false => ["statement", "identityStatement", "grant"],
    };
    let [by_key, by_identity, by_grant] = names;
    match permit.allowed_by() {
        AllowedBy::Statement(statement) => event.explain(by_key, statement.to_string()),
        AllowedBy::Both { key, identity } => {
            event.explain(by_key, key.to_string());
            event.explain(by_identity, identity.to_string());
        }
        AllowedBy::Grant(grant) => event.explain(by_grant, grant.to_string()),
    }
}
