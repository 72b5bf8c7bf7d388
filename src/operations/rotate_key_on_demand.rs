use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, require_rotatable};
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{Rotation, RotationKind, WrappedKeyMaterial};
use crate::root_key::wrap_new_material;

/// Rotations on demand of one key at most (KMS developer guide, *Perform on-demand key rotation*).
const MAX_ON_DEMAND_ROTATIONS: usize = 25;

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
        key.require_enabled()?;
        let on_demand = |rotation: Rotation| rotation.kind == RotationKind::OnDemand;
        let rotations = key
            .materials
            .iter()
            .filter_map(WrappedKeyMaterial::rotation)
            .filter(|one| on_demand(*one))
            .count();
        if rotations >= MAX_ON_DEMAND_ROTATIONS {
            return Err(OperationError::TooManyRotations { limit: MAX_ON_DEMAND_ROTATIONS });
        }
        let rotation = Rotation { date: invocation.now, kind: RotationKind::OnDemand };
        let material = wrap_new_material(broker.root_key(), key.id).await?.by(rotation);
        broker.store().add_material(key.id, &material, None).await?;
        event.explain("keyMaterialId", material.id().to_string());
        Ok(RotateKeyOnDemandResponse { key_id: key.id.to_string() })
    }
}
