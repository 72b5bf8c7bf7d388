use super::broker::Broker;
use super::error::OperationError;
use crate::audit::{AuditEvent, AuditLog, Ending, Outcome, Subject, random_id};
use crate::time::UnixTime;

/// Destroys every key whose waiting period has passed (KMS developer guide, *Deleting AWS KMS keys*), and yields how
/// many.
///
/// The broker's own doing, which nobody asks for. It is recorded as CloudTrail records it, as `DeleteKey`, before the key
/// is gone: without a record nothing is destroyed. A deletion that fails behind its record is tried and recorded again.
///
/// # Errors
/// When the store or the audit log fails. What was destroyed until then is.
pub async fn delete_due_keys(
    broker: &Broker,
    audit: &AuditLog,
    now: UnixTime,
    configured_trust_anchors: &[String],
) -> Result<usize, OperationError> {
    let mut deleted = 0;
    for id in broker.store().keys_to_delete(now).await? {
        let arn = broker.realm().key_arn(id);
        let mut event = AuditEvent::new(Subject {
            request_id: random_id(),
            time: now,
            operation: "DeleteKey".to_owned(),
            source: "internal".to_owned(),
            user_agent: None,
        });
        event.set_own_doing();
        event.add_key(&arn);
        let ending = Ending {
            outcome: Outcome::Allowed,
            error: None,
            configured_trust_anchors,
            event_id: &random_id(),
        };
        let line = event.to_line(broker.realm(), ending).map_err(OperationError::Record)?;
        audit.record(line).await?;
        if broker.store().delete_key(id, now).await? {
            tracing::info!(key = %arn, "the key and its material are destroyed: its waiting period has passed");
            deleted += 1;
        }
    }
    Ok(deleted)
}
