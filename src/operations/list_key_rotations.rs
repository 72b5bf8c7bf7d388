use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::managed_key::{ManagedKey, require_rotatable};
use super::members::{MemberError, Members};
use super::pattern::MARKER;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{Import, Key, WrappedKeyMaterial};
use crate::time::UnixTime;

/// Entries of an answer unless the request says otherwise (KMS API reference, *ListKeyRotations*, `Limit`).
const DEFAULT_LIMIT: i64 = 100;

/// The versions of a key's material, the oldest first (KMS API reference, *ListKeyRotations*).
pub struct ListKeyRotations {
    key: ManagedKey,
    with_first_material: bool,
    limit: usize,
    /// The material that the page before ended with, in hexadecimal.
    marker: Option<String>,
}

/// The answer. Dates are in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyRotationsResponse {
    rotations: Vec<Rotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rotation {
    key_id: String,
    key_material_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    import_state: Option<&'static str>,
    key_material_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_date: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_type: Option<&'static str>,
}

impl Operation for ListKeyRotations {
    const NAME: &'static str = "ListKeyRotations";
    type Response = ListKeyRotationsResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const KINDS: [(&str, bool); 2] = [("ALL_KEY_MATERIAL", true), ("ROTATIONS_ONLY", false)];
        Ok(Self {
            key: ManagedKey::parse(members)?,
            with_first_material: members.one_of("IncludeKeyMaterial", &KINDS)?.unwrap_or(false),
            limit: usize::try_from(members.integer("Limit", 1..=1000)?.unwrap_or(DEFAULT_LIMIT)).unwrap_or(1),
            marker: members.text_of("Marker", 1..=1024, &MARKER)?.map(str::to_owned),
        })
    }

    fn audit_parameters(&self) -> Value {
        self.key.audit_parameters().into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ListKeyRotationsResponse, OperationError> {
        let key = &self.key.authorized("kms:ListKeyRotations", broker, invocation, event).await?.key;
        require_rotatable(key)?;
        let mut rest =
            key.materials.iter().filter(|material| self.with_first_material || material.rotation().is_some());
        if let Some(marker) = &self.marker {
            rest.find(|material| material.id().to_string() == *marker)
                .ok_or(OperationError::InvalidMarker)?;
        }
        let rotations: Vec<Rotation> = rest
            .by_ref()
            .take(self.limit)
            .map(|material| Rotation::of(key, material, invocation.now))
            .collect();
        let truncated = rest.next().is_some();
        let last = rotations.last().map(|rotation| rotation.key_material_id.clone());
        Ok(ListKeyRotationsResponse { rotations, next_marker: last.filter(|_| truncated), truncated })
    }
}

impl Rotation {
    fn of(key: &Key, material: &WrappedKeyMaterial, now: UnixTime) -> Self {
        let is_current = key.current_material() == Some(material);
        let import = material.import();
        let is_there = material.is_there(now);
        let present = import.filter(|_| is_there);
        Self {
            key_material_description: import.and_then(|import| import.description.clone()),
            import_state: import.map(|_| if is_there { "IMPORTED" } else { "PENDING_IMPORT" }),
            expiration_model: present.map(Import::expiration_model),
            valid_to: present.and_then(|import| import.valid_to).map(super::members::as_date),
            key_id: key.id.to_string(),
            key_material_id: material.id().to_string(),
            key_material_state: match material {
                material if material.is_pending_rotation() => "PENDING_ROTATION",
                _ if is_current => "CURRENT",
                _ => "NON_CURRENT",
            },
            rotation_date: material.rotation().map(|rotation| super::members::as_date(rotation.date)),
            rotation_type: material.rotation().map(|rotation| rotation.kind.name()),
        }
    }
}
