//! What the broker does to keys by itself, because their time has come.
//!
//! Nobody asks for it. It is recorded as CloudTrail records it, as a service event, before it is done: without a record
//! nothing is. What fails behind its record is tried, and recorded, again.

use super::broker::Broker;
use super::error::OperationError;
use crate::audit::{AuditEvent, AuditLog, Ending, Outcome, Subject, random_id};
use crate::keys::{AutomaticRotation, KeyId, KeyIdentifier, KeyMaterialId, Rotation, RotationKind};
use crate::root_key::wrap_new_material;
use crate::time::UnixTime;

/// How many keys something was done to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Housekeeping {
    /// Keys destroyed: their waiting period has passed (KMS developer guide, *Deleting AWS KMS keys*).
    pub deleted: usize,
    /// Keys rotated: their period has passed (KMS developer guide, *Rotating AWS KMS keys*).
    pub rotated: usize,
    /// Versions of imported material destroyed: their time is over (KMS developer guide, *Setting an expiration time*).
    pub expired: usize,
    /// Keys that something was due for and failed; the log says why. They keep no other key from its due.
    pub failed: usize,
}

/// Does everything that is due at `now`, and tells the store what keys were used for.
///
/// # Errors
/// When the store cannot say what is due. What fails for one key is counted and logged.
pub async fn keep_house(
    broker: &Broker,
    audit: &AuditLog,
    now: UnixTime,
    configured_trust_anchors: &[String],
) -> Result<Housekeeping, OperationError> {
    let house = House { broker, audit, now, configured_trust_anchors };
    let mut done = Housekeeping::default();
    broker.store_usages().await?;
    for id in broker.store().keys_to_delete(now).await? {
        match house.delete(id).await {
            Ok(deleted) => done.deleted += usize::from(deleted),
            Err(error) => done.count_failure(id, "deleted", &error),
        }
    }
    for (id, material) in broker.store().materials_to_delete(now).await? {
        match house.expire(id, &material).await {
            Ok(expired) => done.expired += usize::from(expired),
            Err(error) => done.count_failure(id, "rid of expired material", &error),
        }
    }
    for id in broker.store().keys_to_rotate(now).await? {
        match house.rotate(id).await {
            Ok(rotated) => done.rotated += usize::from(rotated),
            Err(error) => done.count_failure(id, "rotated", &error),
        }
    }
    Ok(done)
}

impl Housekeeping {
    fn count_failure(&mut self, key: KeyId, what: &str, error: &OperationError) {
        tracing::error!(%key, %error, "the key is due and could not be {what}; trying again");
        self.failed += 1;
    }
}

struct House<'h> {
    broker: &'h Broker,
    audit: &'h AuditLog,
    now: UnixTime,
    configured_trust_anchors: &'h [String],
}

impl House<'_> {
    async fn delete(&self, id: KeyId) -> Result<bool, OperationError> {
        self.record("DeleteKey", id).await?;
        let deleted = self.broker.store().delete_key(id, self.now).await?;
        if deleted {
            tracing::info!(key = %id, "the key and its material are destroyed: its waiting period has passed");
        }
        Ok(deleted)
    }

    async fn expire(&self, id: KeyId, material: &KeyMaterialId) -> Result<bool, OperationError> {
        self.record("DeleteExpiredKeyMaterial", id).await?;
        let deleted = self.broker.store().delete_material(id, material, Some(self.now)).await?;
        if deleted {
            tracing::info!(key = %id, %material, "imported material is destroyed: its time is over");
        }
        Ok(deleted)
    }

    async fn rotate(&self, id: KeyId) -> Result<bool, OperationError> {
        let entry = self.broker.store().find_key(&KeyIdentifier::Key(id)).await?;
        let Some(rotation) = entry.as_ref().and_then(|entry| entry.key.rotation) else { return Ok(false) };
        self.record("RotateKey", id).await?;
        let next = AutomaticRotation::starting(self.now, rotation.period_days);
        let rotation = Rotation { date: self.now, kind: RotationKind::Automatic };
        let material = wrap_new_material(self.broker.root_key(), id).await?.by(rotation);
        self.broker.store().add_material(id, &material, Some(next)).await?;
        tracing::info!(key = %id, "the key is rotated: its period has passed");
        Ok(true)
    }

    async fn record(&self, operation: &str, key: KeyId) -> Result<(), OperationError> {
        let realm = self.broker.realm();
        let mut event = AuditEvent::new(Subject {
            request_id: random_id(),
            time: self.now,
            operation: operation.to_owned(),
            source: "internal".to_owned(),
            user_agent: None,
        });
        event.set_own_doing();
        event.add_key(&realm.key_arn(key));
        let ending = Ending {
            outcome: Outcome::Allowed,
            error: None,
            configured_trust_anchors: self.configured_trust_anchors,
            event_id: &random_id(),
        };
        let line = event.to_line(realm, ending).map_err(OperationError::Record)?;
        self.audit.record(line).await?;
        Ok(())
    }
}
