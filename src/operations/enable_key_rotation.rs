use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, NoMembers, require_rotatable};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::AutomaticRotation;
use crate::policy::Particulars;

/// `RotationPeriodInDays` unless the request says otherwise (KMS API reference, *EnableKeyRotation*).
const DEFAULT_PERIOD_DAYS: i64 = 365;

/// A key rotated by itself from now on, each time that a period has passed (KMS API reference, *EnableKeyRotation*).
pub struct EnableKeyRotation {
    key: ManagedKey,
    period_days: u32,
}

impl Operation for EnableKeyRotation {
    const NAME: &'static str = "EnableKeyRotation";
    const READ_ONLY: bool = false;
    type Response = NoMembers;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        let days = members.integer("RotationPeriodInDays", 90..=2560)?.unwrap_or(DEFAULT_PERIOD_DAYS);
        Ok(Self { key, period_days: u32::try_from(days).unwrap_or(u32::MAX) })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("rotationPeriodInDays", self.period_days).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<NoMembers, OperationError> {
        let particulars =
            Particulars { rotation_period_days: Some(self.period_days), ..Particulars::default() };
        let entry =
            self.key.authorized_with("kms:EnableKeyRotation", particulars, broker, invocation, event).await?;
        let key = &entry.key;
        require_rotatable(key)?;
        key.require_made_here()?;
        key.require_enabled(invocation.now)?;
        let rotation = AutomaticRotation::starting(invocation.now, self.period_days);
        broker.store().set_rotation(key.id, Some(rotation)).await?;
        Ok(NoMembers {})
    }
}
