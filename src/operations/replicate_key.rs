use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::multi_region::{self, NO_MULTI_REGION_KEYS};
use super::pattern::POLICY;
use super::put_key_policy::MAX_POLICY_MEMBER_LEN;
use super::tags::SentTags;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::MAX_DESCRIPTION_LEN;

/// A key in a further region (KMS API reference, *ReplicateKey*). This broker lives in one region and has no multi-Region keys.
pub struct ReplicateKey {
    key: ManagedKey,
    region: String,
}

impl Operation for ReplicateKey {
    const NAME: &'static str = "ReplicateKey";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        let region = multi_region::required_region("ReplicaRegion", members)?;
        members.text_of("Policy", 1..=MAX_POLICY_MEMBER_LEN, &POLICY)?;
        members.flag("BypassPolicyLockoutSafetyCheck")?;
        members.string("Description", 0..=MAX_DESCRIPTION_LEN)?;
        SentTags::parse(members)?;
        Ok(Self { key, region })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("replicaRegion", &self.region).into_value()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_MULTI_REGION_KEYS)
    }
}
