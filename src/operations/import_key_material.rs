use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::broker::Broker;
use super::error::OperationError;
use super::import_token::ImportToken;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::pattern::{KEY_MATERIAL_DESCRIPTION, KEY_MATERIAL_ID};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::crypto::unwrap_imported;
use crate::keys::{
    Import, Key, KeySpec, KeyState, KeyStateError, MAX_CIPHERTEXT_BLOB_LEN, NewMaterial, WrappedKeyMaterial,
};
use crate::policy::Particulars;
use crate::root_key::wrap_material;
use crate::time::UnixTime;

/// How far ahead `ValidTo` may lie (KMS API reference, *ImportKeyMaterial*).
const MAX_VALIDITY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Key material from elsewhere, for a key that was made without (KMS API reference, *ImportKeyMaterial*).
pub struct ImportKeyMaterial {
    key: ManagedKey,
    import_token: Vec<u8>,
    encrypted_key_material: Vec<u8>,
    valid_to: Option<UnixTime>,
    import_type: Option<ImportType>,
    description: Option<String>,
    key_material_id: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ImportType {
    New,
    Existing,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportKeyMaterialResponse {
    key_id: String,
    key_material_id: String,
}

impl Operation for ImportKeyMaterial {
    const NAME: &'static str = "ImportKeyMaterial";
    const READ_ONLY: bool = false;
    type Response = ImportKeyMaterialResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const TYPES: [(&str, ImportType); 2] =
            [("NEW_KEY_MATERIAL", ImportType::New), ("EXISTING_KEY_MATERIAL", ImportType::Existing)];
        let required = |name| {
            let blob = members.blob(name, 1..=MAX_CIPHERTEXT_BLOB_LEN)?;
            blob.ok_or_else(|| members.missing(name))
        };
        let import_type = members.one_of("ImportType", &TYPES)?;
        let key_material_id = members.text_of("KeyMaterialId", 64..=64, &KEY_MATERIAL_ID)?;
        if import_type == Some(ImportType::New) && key_material_id.is_some() {
            return Err(MemberError::Combination(
                "KeyMaterialId is not allowed when ImportType is NEW_KEY_MATERIAL.",
            ));
        }
        let description = members.text_of("KeyMaterialDescription", 0..=256, &KEY_MATERIAL_DESCRIPTION)?;
        Ok(Self {
            key: ManagedKey::parse(members)?,
            import_token: required("ImportToken")?,
            encrypted_key_material: required("EncryptedKeyMaterial")?,
            valid_to: valid_to(members)?,
            import_type,
            description: description.map(str::to_owned),
            key_material_id: key_material_id.map(str::to_owned),
        })
    }

    fn audit_parameters(&self) -> Value {
        self.key
            .audit_parameters()
            .with("expirationModel", self.import().expiration_model())
            .with_optional("validTo", self.valid_to.map(|valid_to| valid_to.to_string()))
            .with_optional("keyMaterialDescription", self.description.as_deref())
            .with_optional("keyMaterialId", self.key_material_id.as_deref())
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<ImportKeyMaterialResponse, OperationError> {
        let import = self.import();
        let particulars = Particulars {
            expiration_model: Some(import.expiration_model()),
            valid_to: self.valid_to,
            ..Particulars::default()
        };
        let entry =
            self.key.authorized_with("kms:ImportKeyMaterial", particulars, broker, invocation, event).await?;
        let key = &entry.key;
        key.require_external()?;
        match key.state_at(invocation.now) {
            KeyState::Enabled | KeyState::PendingImport => {}
            KeyState::Disabled => return Err(OperationError::DisabledForImport(key.arn.clone())),
            KeyState::PendingDeletion => return Err(KeyStateError::PendingDeletion(key.arn.clone()).into()),
        }
        self.check_valid_to(invocation.now)?;
        self.check_is_for(key)?;
        let token = ImportToken::open(broker.root_key(), key.id, &self.import_token, invocation.now).await?;
        let bytes = unwrap_imported(&token.private_key, token.wrapping, &self.encrypted_key_material)
            .map_err(|_| OperationError::ImportDoesNotUnwrap)?;
        let material = self.material(key, &bytes)?;
        let wrapped = wrap_material(broker.root_key(), key.id, &material).await?;
        let id = *wrapped.id();
        if !broker.store().import_material(key.id, &self.place(key, wrapped)?, material.public_key()).await? {
            return Err(OperationError::ImportInTheWay(key.arn.clone()));
        }
        event.explain("keyMaterialId", id.to_string());
        Ok(ImportKeyMaterialResponse { key_id: key.arn.to_string(), key_material_id: id.to_string() })
    }
}

impl ImportKeyMaterial {
    fn import(&self) -> Import {
        Import { valid_to: self.valid_to, description: self.description.clone() }
    }

    fn check_valid_to(&self, now: UnixTime) -> Result<(), OperationError> {
        let is_allowed =
            |valid_to: &UnixTime| now < *valid_to && *valid_to <= now.saturating_add(MAX_VALIDITY);
        match self.valid_to.filter(|valid_to| !is_allowed(valid_to)) {
            Some(valid_to) => Err(OperationError::ImportValidTo { valid_to }),
            None => Ok(()),
        }
    }

    /// Refuses what only symmetric encryption keys have, which may have several versions.
    fn check_is_for(&self, key: &Key) -> Result<(), OperationError> {
        let is_about_versions =
            self.import_type.is_some() || self.description.is_some() || self.key_material_id.is_some();
        if is_about_versions && key.spec != KeySpec::SymmetricDefault {
            return Err(OperationError::InvalidParameter(
                "ImportType, KeyMaterialDescription and KeyMaterialId are for symmetric encryption KMS keys only"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// What was decrypted, as material of this key.
    fn material(&self, key: &Key, bytes: &Zeroizing<Vec<u8>>) -> Result<NewMaterial, OperationError> {
        let incorrect = |problem: String| OperationError::IncorrectKeyMaterial(problem);
        let material = NewMaterial::imported(key, bytes).map_err(|error| incorrect(error.to_string()))?;
        let id = material.id().to_string();
        if let Some(named) = self.key_material_id.as_deref().filter(|named| *named != id) {
            return Err(incorrect(format!("the key material is not {named}, which the request names")));
        }
        Ok(material)
    }

    /// Among the versions that the key has: one of them again, or a new one.
    fn place(&self, key: &Key, wrapped: WrappedKeyMaterial) -> Result<WrappedKeyMaterial, OperationError> {
        let incorrect = |problem: &str| Err(OperationError::IncorrectKeyMaterial(problem.to_owned()));
        let is_known = key.material(wrapped.id()).is_some();
        let has_some = !key.materials.is_empty();
        let implied = if has_some { ImportType::Existing } else { ImportType::New };
        let wrapped = wrapped.imported(self.import());
        match (self.import_type.unwrap_or(implied), is_known) {
            (ImportType::Existing, false) => {
                incorrect("the key has not had this key material before, as EXISTING_KEY_MATERIAL says")
            }
            (ImportType::New, true) => {
                incorrect("the key has had this key material before, against NEW_KEY_MATERIAL")
            }
            (ImportType::New, false) if has_some => Ok(wrapped.pending_rotation()),
            (ImportType::New, false) | (ImportType::Existing, true) => Ok(wrapped),
        }
    }
}

/// `ValidTo`, which must be there exactly where `ExpirationModel` says that the material expires, its default.
fn valid_to(members: &Members<'_>) -> Result<Option<UnixTime>, MemberError> {
    const MODELS: [(&str, bool); 2] =
        [("KEY_MATERIAL_EXPIRES", true), ("KEY_MATERIAL_DOES_NOT_EXPIRE", false)];
    let expires = members.one_of("ExpirationModel", &MODELS)?.unwrap_or(true);
    match (expires, members.date("ValidTo")?) {
        (true, None) => Err(MemberError::Combination(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES.",
        )),
        (false, Some(_)) => Err(MemberError::Combination(
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE.",
        )),
        (_, valid_to) => Ok(valid_to),
    }
}
