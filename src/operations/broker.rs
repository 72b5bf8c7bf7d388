use std::sync::Arc;

use serde_json::{Value, json};

use super::Invocation;
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::attestation::{AttestedRecipient, VerifiedEvidence, Verifier};
use crate::audit::AuditEvent;
use crate::encryption_context::EncryptionContext;
use crate::keys::{Key, KeyIdentifier, KeyMaterial, Realm, SealError, WrappedKeyMaterial};
use crate::policy::{self, Permit, Question};
use crate::root_key::{RootKey, RootKeyError};
use crate::store::{KeyEntry, Store, StoreError};
use crate::text::shorten;

/// What is wrapped and kept beside the store, so that a root key that does not belong to it is noticed at once.
const ROOT_KEY_CHECK_CONTEXT: &[u8] = b"nitro-key-broker root key check v1\0";

/// Everything that the operations work with.
pub struct Broker {
    realm: Realm,
    store: Arc<dyn Store>,
    root_key: Arc<dyn RootKey>,
    verifier: Verifier,
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
}

/// The request member `Recipient`, as it came.
pub(super) struct Recipient {
    attestation_document: Vec<u8>,
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
        Ok(Self { realm: store.realm().await?, store, root_key, verifier })
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

    /// The key that the member `KeyId` names, in a state that allows its use.
    pub(super) async fn usable_key(
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
        event.set_key(&entry.key.arn);
        entry.key.require_enabled()?;
        Ok(entry)
    }

    /// The enclave behind a `Recipient`, its evidence verified completely and its key fit to encrypt to.
    pub(super) fn attest(
        &self,
        recipient: &Recipient,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<AttestedRecipient, OperationError> {
        let document = &recipient.attestation_document;
        if let Some(text) = file_name(document) {
            return Err(OperationError::FileNameForDocument { text });
        }
        let attested = self
            .verifier
            .verify(document, invocation.now)
            .inspect(|evidence| event.set_recipient(evidence))
            .and_then(VerifiedEvidence::into_recipient);
        attested.map_err(|error| {
            event.explain("failedStep", error.step().name());
            event.explain("failedCheck", error.code());
            OperationError::Attestation(error)
        })
    }

    /// Asks the key's policy.
    pub(super) fn authorize(
        &self,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Permit, OperationError> {
        let request_alias = match access.named_as {
            Some(KeyIdentifier::Alias(name)) => Some(name.as_str()),
            _ => None,
        };
        let question = Question {
            caller: &invocation.caller,
            action: access.action,
            resource: access.entry.key.arn.as_str(),
            resource_aliases: &access.entry.aliases,
            request_alias,
            recipient: access.recipient,
            encryption_context: access.encryption_context,
            source_ip: invocation.source_ip,
            secure_transport: invocation.secure_transport,
            now: invocation.now,
        };
        let permit = policy::decide(&access.entry.key.policy, &question)
            .inspect_err(|denial| event.explain("reasons", denial.reasons()))?;
        event.explain("statement", permit.statement().to_string());
        Ok(permit)
    }

    /// A version of a key's material in the clear, for a caller who holds a permit.
    pub(super) async fn unwrap_material(
        &self,
        permit: &Permit,
        key: &Key,
        wrapped: &WrappedKeyMaterial,
    ) -> Result<KeyMaterial, OperationError> {
        if permit.resource() != key.arn.as_str() {
            return Err(SealError::PermitForAnotherKey.into());
        }
        let context = wrapped.id().wrapping_context(key.id);
        let bytes = self.root_key.unwrap_key(&context, wrapped.wrapped()).await?;
        Ok(KeyMaterial::from_unwrapped(*wrapped.id(), &bytes)?)
    }

    /// Refuses grant tokens, since none were ever issued.
    pub(super) fn refuse_grant_tokens(&self, tokens: usize) -> Result<(), OperationError> {
        match tokens {
            0 => Ok(()),
            _ => Err(OperationError::InvalidGrantToken { index: 0 }),
        }
    }
}

impl Recipient {
    /// Bytes of `AttestationDocument` (KMS API reference, *RecipientInfo*).
    const DOCUMENT_LEN: std::ops::RangeInclusive<usize> = 1..=262_144;

    pub(super) fn parse(members: &Members<'_>) -> Result<Option<Self>, MemberError> {
        let Some(recipient) = members.structure("Recipient")? else { return Ok(None) };
        let algorithm = recipient.one_of("KeyEncryptionAlgorithm", &[("RSAES_OAEP_SHA_256", ())])?;
        let document = recipient.blob("AttestationDocument", Self::DOCUMENT_LEN)?;
        algorithm.ok_or_else(|| recipient.missing("KeyEncryptionAlgorithm"))?;
        let document = document.ok_or_else(|| recipient.missing("AttestationDocument"))?;
        Ok(Some(Self { attestation_document: document }))
    }

    pub(super) fn audit_parameters(&self) -> Value {
        json!({"keyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"})
    }
}

/// The text that the AWS CLI sends when it was told to read a file in a way that it does not understand.
fn file_name(document: &[u8]) -> Option<String> {
    const LONGEST_PATH: usize = 4096;
    let text = std::str::from_utf8(document).ok().filter(|text| text.len() <= LONGEST_PATH)?;
    let names_a_file = ["fileb://", "file://"].iter().any(|scheme| text.starts_with(scheme));
    names_a_file.then(|| shorten(text))
}
