use serde_json::Value;

use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::key_policy_name;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::pattern::POLICY;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::policy::{KeyPolicy, MAX_POLICY_BYTES, Particulars};

/// Characters of `Policy` at most (the service model's `PolicyType`); what is a policy is shorter still.
pub(super) const MAX_POLICY_MEMBER_LEN: usize = 131_072;

/// A key's policy replaced (KMS API reference, *PutKeyPolicy*). Unless the safety check is bypassed, the new policy must
/// let the same caller put another one.
pub struct PutKeyPolicy {
    key: ManagedKey,
    policy_name: String,
    policy: String,
    bypasses_lockout_check: bool,
}

impl Operation for PutKeyPolicy {
    const NAME: &'static str = "PutKeyPolicy";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self {
            key: ManagedKey::parse(members)?,
            policy_name: key_policy_name::parse(members)?,
            policy: members
                .text_of("Policy", 1..=MAX_POLICY_MEMBER_LEN, &POLICY)?
                .ok_or_else(|| members.missing("Policy"))?
                .to_owned(),
            bypasses_lockout_check: members.flag("BypassPolicyLockoutSafetyCheck")?,
        })
    }

    fn audit_parameters(&self) -> Value {
        let policy = Some(&self.policy).filter(|policy| policy.len() <= MAX_POLICY_BYTES);
        self.key
            .audit_parameters()
            .with("policyName", &self.policy_name)
            .with("bypassPolicyLockoutSafetyCheck", self.bypasses_lockout_check)
            .with_optional("policy", policy)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        const ACTION: &str = "kms:PutKeyPolicy";
        let particulars = Particulars {
            bypasses_lockout_check: Some(self.bypasses_lockout_check),
            ..Particulars::default()
        };
        let entry = self.key.authorized_with(ACTION, particulars, broker, invocation, event).await?;
        key_policy_name::require_default(&self.policy_name)?;
        let policy = KeyPolicy::parse(&self.policy).map_err(OperationError::MalformedPolicy)?;
        if !self.bypasses_lockout_check {
            let next_time = Access { particulars, ..Access::new(ACTION, &entry) };
            let is_allowed = broker.would_allow(&policy, &next_time, invocation).await?;
            is_allowed.then_some(()).ok_or(OperationError::PolicyLocksOut)?;
        }
        broker.store().set_policy(entry.key.id, &policy).await?;
        Ok(NoMembers {})
    }
}
