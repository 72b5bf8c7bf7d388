//! What policies and grants are asked on an operation's behalf.

use std::sync::Arc;

use super::Invocation;
use super::broker::Broker;
use super::error::OperationError;
use crate::attestation::AttestedRecipient;
use crate::audit::{AskedOf, AuditEvent};
use crate::encryption_context::EncryptionContext;
use crate::keys::KeyIdentifier;
use crate::metrics::Stage;
use crate::policy::{
    self, Algorithms, AllowedBy, AttachedPolicy, AttachedStatement, Caller, Denial, Grant, GrantTerms,
    KeyPolicy, Particulars, Permit, Policies, Question, RetiredAs,
};
use crate::store::KeyEntry;

/// What is asked about one operation with a key.
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
    /// Asks the key's policy and the caller's own, and where they neither allow nor deny, the grants that name the caller.
    pub(super) async fn authorize(
        &self,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Permit, OperationError> {
        self.in_async_stage(Stage::Decide, self.decide(access, invocation, event)).await
    }

    async fn decide(
        &self,
        access: &Access<'_>,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<Permit, OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        let policies = Policies { key: &access.entry.key.policy, identity: &identity, grants: &[] };
        let question = self.question_of(access, invocation);
        let mut grants = Arc::<[Arc<Grant>]>::default();
        let mut decision = policy::decide(&policies, &question);
        if let (Err(denial), Some(caller)) = (&decision, invocation.caller.arn())
            && denial.leaves_room_for_a_grant()
        {
            grants = self.store().grants_to(access.entry.key.id, caller).await?;
            if !grants.is_empty() {
                decision = policy::decide(&Policies { grants: &grants, ..policies }, &question);
            }
        }
        let grant = decision.as_ref().ok().and_then(|permit| match permit.allowed_by() {
            AllowedBy::Grant(id) => grants.iter().find(|grant| grant.id == *id),
            AllowedBy::Statement(_) | AllowedBy::Both { .. } => None,
        });
        let allowed_by = grant.map(Arc::as_ref);
        event.add_asked(&question, AskedOf::Key { allowed_by }, decision.is_ok());
        let permit = decision.inspect_err(|denial| self.note_denial(denial, event))?;
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
        let question = self.question_of(access, invocation);
        let decision = policy::decide_retirement(&policies, &question, grant);
        event.add_asked(&question, AskedOf::Retirement(grant), decision.is_ok());
        Ok(decision.inspect_err(|denial| self.note_denial(denial, event))?)
    }

    /// Whether `policy` in place of the key's own would allow it.
    pub(super) async fn would_allow(
        &self,
        policy: &KeyPolicy,
        access: &Access<'_>,
        invocation: &Invocation,
    ) -> Result<bool, OperationError> {
        let identity = self.identity_policies(&invocation.caller).await?;
        let policies = Policies { key: policy, identity: &identity, grants: &[] };
        Ok(policy::decide(&policies, &self.question_of(access, invocation)).is_ok())
    }

    /// The policies attached to the caller.
    pub(super) async fn identity_policies(
        &self,
        caller: &Caller,
    ) -> Result<Arc<[AttachedPolicy]>, OperationError> {
        match caller.arn().and_then(|arn| arn.policy_holder()) {
            Some(holder) => Ok(self.store().identity_policies(holder).await?),
            None => Ok(Arc::default()),
        }
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
            resource_account: self.realm().account(),
            key_spec: None,
            key_usage: None,
            key_origin: None,
            source_ip: invocation.source_ip,
            secure_transport: invocation.secure_transport,
            user_agent: invocation.user_agent.as_deref(),
            region: self.realm().region(),
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
        let decision = policy::decide_by_identity(&identity, &question);
        event.add_asked(&question, AskedOf::Identity, decision.is_ok());
        Ok(decision.inspect_err(|denial| self.note_denial(denial, event))?)
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
        let question = self.question(action, resource, invocation);
        let decision = policy::decide_unless_denied(&identity, &question);
        event.add_asked(&question, AskedOf::NoDeny, decision.is_ok());
        Ok(decision.inspect_err(|denial| self.note_denial(denial, event))?)
    }

    /// Says in the record why not, and counts it.
    fn note_denial(&self, denial: &Denial, event: &mut AuditEvent) {
        event.explain("reasons", denial.reasons());
        self.metrics().denied(denial.refusal().name(), denial.refusal().side());
    }
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
