use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::pattern::KEY_MATERIAL_ID;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::KeyStateError;

/// Imported key material destroyed: the key is of no use until the same material is imported again
/// (KMS API reference, *DeleteImportedKeyMaterial*).
pub struct DeleteImportedKeyMaterial {
    key: ManagedKey,
    key_material_id: Option<String>,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteImportedKeyMaterialResponse {
    key_id: String,
    key_material_id: String,
}

impl Operation for DeleteImportedKeyMaterial {
    const NAME: &'static str = "DeleteImportedKeyMaterial";
    const READ_ONLY: bool = false;
    type Response = DeleteImportedKeyMaterialResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_material_id = members.text_of("KeyMaterialId", 64..=64, &KEY_MATERIAL_ID)?;
        Ok(Self { key: ManagedKey::parse(members)?, key_material_id: key_material_id.map(str::to_owned) })
    }

    fn audit_parameters(&self) -> Value {
        self.key
            .audit_parameters()
            .with_optional("keyMaterialId", self.key_material_id.as_deref())
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<DeleteImportedKeyMaterialResponse, OperationError> {
        let key = &self.key.authorized("kms:DeleteImportedKeyMaterial", broker, invocation, event).await?.key;
        key.require_external()?;
        let material = match &self.key_material_id {
            None => key.current_material(),
            Some(id) => key.materials.iter().find(|material| material.id().to_string() == *id),
        };
        let Some(material) = material else {
            return Err(match &self.key_material_id {
                None => KeyStateError::PendingImport(key.arn.clone()).into(),
                Some(id) => OperationError::NotFound(format!("Key material {id} of key {}", key.arn)),
            });
        };
        // What is gone already is as it was asked for.
        broker.store().delete_material(key.id, material.id(), None).await?;
        event.explain("keyMaterialId", material.id().to_string());
        Ok(DeleteImportedKeyMaterialResponse {
            key_id: key.arn.to_string(),
            key_material_id: material.id().to_string(),
        })
    }
}
