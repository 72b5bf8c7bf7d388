use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, require_rotatable};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{KeyOrigin, MAX_ON_DEMAND_ROTATIONS, Rotation, RotationKind};
use crate::root_key::wrap_new_material;

/// New material for a key: it seals from now on, older material opens what it sealed
/// (KMS API reference, *RotateKeyOnDemand*).
pub struct RotateKeyOnDemand {
    key: ManagedKey,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateKeyOnDemandResponse {
    key_id: String,
}

impl Operation for RotateKeyOnDemand {
    const NAME: &'static str = "RotateKeyOnDemand";
    const READ_ONLY: bool = false;
    type Response = RotateKeyOnDemandResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        Ok(Self { key: ManagedKey::parse(members)? })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<RotateKeyOnDemandResponse, OperationError> {
        let key = &self.key.authorized("kms:RotateKeyOnDemand", broker, invocation, event).await?.key;
        require_rotatable(key)?;
        key.require_enabled(invocation.now)?;
        let rotation = Rotation { date: invocation.now, kind: RotationKind::OnDemand };
        let (is_rotated, id) = match (key.origin, key.pending_material()) {
            (KeyOrigin::AwsKms, _) => {
                let material = wrap_new_material(broker.root_key(), key.id).await?.by(rotation);
                (broker.store().add_material(key.id, &material, None).await?, *material.id())
            }
            (KeyOrigin::External, Some(pending)) => {
                (broker.store().rotate_to_imported(key.id, rotation).await?, *pending.id())
            }
            (KeyOrigin::External, None) => return Err(OperationError::NothingToRotateTo(key.arn.clone())),
        };
        if !is_rotated {
            return Err(OperationError::TooManyRotations { limit: MAX_ON_DEMAND_ROTATIONS });
        }
        event.explain("keyMaterialId", id.to_string());
        Ok(RotateKeyOnDemandResponse { key_id: key.id.to_string() })
    }
}
