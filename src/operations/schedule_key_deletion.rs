use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{KeyState, KeyStateError};
use crate::policy::Particulars;

/// `PendingWindowInDays` unless the request says otherwise (KMS API reference, *ScheduleKeyDeletion*).
const DEFAULT_WINDOW_DAYS: i64 = 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A key put out of use at once, and destroyed with all that it ever sealed when its window has passed
/// (KMS API reference, *ScheduleKeyDeletion*).
pub struct ScheduleKeyDeletion {
    key: ManagedKey,
    window_days: u32,
}

/// The answer. The date is in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduleKeyDeletionResponse {
    key_id: String,
    deletion_date: f64,
    key_state: &'static str,
    pending_window_in_days: u32,
}

impl Operation for ScheduleKeyDeletion {
    const NAME: &'static str = "ScheduleKeyDeletion";
    const READ_ONLY: bool = false;
    type Response = ScheduleKeyDeletionResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        // The model allows 1 to 365; KMS itself, and its documentation, 7 to 30.
        let days = members.integer("PendingWindowInDays", 7..=30)?.unwrap_or(DEFAULT_WINDOW_DAYS);
        Ok(Self { key, window_days: u32::try_from(days).unwrap_or(u32::MAX) })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().with("pendingWindowInDays", self.window_days).into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ScheduleKeyDeletionResponse, OperationError> {
        let particulars =
            Particulars { pending_window_days: Some(self.window_days), ..Particulars::default() };
        let entry = self
            .key
            .authorized_with("kms:ScheduleKeyDeletion", particulars, broker, invocation, event)
            .await?;
        let key = &entry.key;
        let deletion_at = invocation.now.saturating_add(DAY * self.window_days);
        if !broker.store().schedule_deletion(key.id, deletion_at).await? {
            return Err(KeyStateError::PendingDeletion(key.arn.clone()).into());
        }
        Ok(ScheduleKeyDeletionResponse {
            key_id: key.arn.to_string(),
            deletion_date: super::members::as_date(deletion_at),
            key_state: KeyState::PendingDeletion.name(),
            pending_window_in_days: self.window_days,
        })
    }
}
