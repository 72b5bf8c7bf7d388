use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers};
use super::members::{MemberError, Members};
use super::multi_region::{self, NO_MULTI_REGION_KEYS};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;

/// Another region's replica made the primary key (KMS API reference, *UpdatePrimaryRegion*). This broker lives in one region and has no multi-Region keys.
pub struct UpdatePrimaryRegion {
    key: ManagedKey,
    region: String,
}

impl Operation for UpdatePrimaryRegion {
    const NAME: &'static str = "UpdatePrimaryRegion";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        let region = multi_region::required_region("PrimaryRegion", members)?;
        Ok(Self { key, region })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("primaryRegion", &self.region).into_value()
    }

    async fn run(&self, _: &Broker, _: &Invocation, _: &mut AuditEvent) -> Result<NoMembers, OperationError> {
        Err(NO_MULTI_REGION_KEYS)
    }
}
