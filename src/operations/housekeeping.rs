//! What the broker does to keys by itself, because their time has come.
//!
//! Nobody asks for it. It is recorded as CloudTrail records it, as a service event, before it is done: without a record
//! nothing is. What fails behind its record is tried, and recorded, again.

use super::broker::Broker;
use super::error::OperationError;
use crate::audit::{AuditEvent, AuditLog, Ending, Outcome, Subject, random_id};
use crate::keys::{AutomaticRotation, KeyArn, KeyIdentifier, Rotation, RotationKind};
use crate::root_key::wrap_new_material;
use crate::time::UnixTime;

/// How many keys something was done to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Housekeeping {
    /// Keys destroyed: their waiting period has passed (KMS developer guide, *Deleting AWS KMS keys*).
    pub deleted: usize,
    /// Keys rotated: their period has passed (KMS developer guide, *Rotating AWS KMS keys*).
    pub rotated: usize,
}

/// Does everything that is due at `now`.
///
/// # Errors
/// When the store, the root key or the audit log fails. What was done until then is.
pub async fn keep_house(
    broker: &Broker,
    audit: &AuditLog,
    now: UnixTime,
    configured_trust_anchors: &[String],
) -> Result<Housekeeping, OperationError> {
    let mut done = Housekeeping::default();
    for id in broker.store().keys_to_delete(now).await? {
        let arn = broker.realm().key_arn(id);
        record("DeleteKey", &arn, broker, audit, now, configured_trust_anchors).await?;
        if broker.store().delete_key(id, now).await? {
            tracing::info!(key = %arn, "the key and its material are destroyed: its waiting period has passed");
            done.deleted += 1;
        }
    }
    for id in broker.store().keys_to_rotate(now).await? {
        let entry = broker.store().find_key(&KeyIdentifier::Key(id)).await?;
        let Some(rotation) = entry.as_ref().and_then(|entry| entry.key.rotation) else { continue };
        let arn = broker.realm().key_arn(id);
        record("RotateKey", &arn, broker, audit, now, configured_trust_anchors).await?;
        let next = AutomaticRotation::starting(now, rotation.period_days);
        let rotation = Rotation { date: now, kind: RotationKind::Automatic };
        let material = wrap_new_material(broker.root_key(), id).await?.by(rotation);
        broker.store().add_material(id, &material, Some(next)).await?;
        tracing::info!(key = %arn, "the key is rotated: its period has passed");
        done.rotated += 1;
    }
    Ok(done)
}

async fn record(
    operation: &str,
    key: &KeyArn,
    broker: &Broker,
    audit: &AuditLog,
    now: UnixTime,
    configured_trust_anchors: &[String],
) -> Result<(), OperationError> {
    let mut event = AuditEvent::new(Subject {
        request_id: random_id(),
        time: now,
        operation: operation.to_owned(),
        source: "internal".to_owned(),
        user_agent: None,
    });
    event.set_own_doing();
    event.add_key(key);
    let ending =
        Ending { outcome: Outcome::Allowed, error: None, configured_trust_anchors, event_id: &random_id() };
    let line = event.to_line(broker.realm(), ending).map_err(OperationError::Record)?;
    audit.record(line).await?;
    Ok(())
}
