//! Rows as what they stand for.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite};

use super::{corrupt, while_doing};
use crate::keys::{
    AliasName, AutomaticRotation, Import, KeyId, KeyMaterialId, Rotation, RotationKind, WrappedKeyMaterial,
};
use crate::policy::PrincipalArn;
use crate::store::{AliasEntry, Credential, StoreError};
use crate::time::UnixTime;

pub(super) fn credential(row: &SqliteRow) -> Result<Credential, StoreError> {
    let principal: String = column(row, "principal_arn")?;
    let session_token_sha256: Option<Vec<u8>> = column(row, "session_token_sha256")?;
    Ok(Credential {
        access_key_id: column(row, "access_key_id")?,
        principal: PrincipalArn::parse(&principal).map_err(|error| corrupt("principal ARN", error))?,
        wrapped_secret: column(row, "wrapped_secret")?,
        session_token_sha256: session_token_sha256
            .map(|digest| {
                digest.try_into().map_err(|digest: Vec<u8>| {
                    corrupt("session token digest", format!("{} bytes", digest.len()))
                })
            })
            .transpose()?,
        created_at: time_column(row, "created_at_ms")?,
        expires_at: optional_time_column(row, "expires_at_ms")?,
    })
}

pub(super) fn alias_entry(row: &SqliteRow) -> Result<AliasEntry, StoreError> {
    let (name, key): (String, String) = (column(row, "name")?, column(row, "key_id")?);
    let created_at = time_column(row, "created_at_ms")?;
    Ok(AliasEntry {
        name: AliasName::parse(&name).map_err(|error| corrupt("alias", error))?,
        key: key.parse().map_err(|error| corrupt("key id", error))?,
        created_at,
        updated_at: optional_time_column(row, "updated_at_ms")?.unwrap_or(created_at),
    })
}

pub(super) fn wrapped_material(row: &SqliteRow) -> Result<WrappedKeyMaterial, StoreError> {
    let id = material_id(row)?;
    let wrapped: Vec<u8> = column(row, "wrapped")?;
    let is_deleted = wrapped.is_empty();
    let mut material = WrappedKeyMaterial::new(id, wrapped);
    if is_deleted {
        material = material.deleted();
    }
    if column(row, "imported")? {
        let valid_to = optional_time_column(row, "valid_to_ms")?;
        material = material.imported(Import { valid_to, description: column(row, "description")? });
    }
    if column(row, "pending_rotation")? {
        material = material.pending_rotation();
    }
    let Some(date) = optional_time_column(row, "rotated_at_ms")? else { return Ok(material) };
    let kind: String = column(row, "rotation_type")?;
    let kind = RotationKind::from_name(&kind).ok_or_else(|| corrupt("rotation type", kind))?;
    Ok(material.by(Rotation { date, kind }))
}

pub(super) fn key_id(row: &SqliteRow) -> Result<KeyId, StoreError> {
    column::<String>(row, "key_id")?.parse().map_err(|error| corrupt("key id", error))
}

pub(super) fn material_id(row: &SqliteRow) -> Result<KeyMaterialId, StoreError> {
    let id: Vec<u8> = column(row, "material_id")?;
    let id: [u8; 32] =
        id.try_into().map_err(|id: Vec<u8>| corrupt("key material id", format!("{} bytes", id.len())))?;
    Ok(KeyMaterialId::from_bytes(id))
}

pub(super) fn automatic_rotation(row: &SqliteRow) -> Result<Option<AutomaticRotation>, StoreError> {
    let Some(next_at) = optional_time_column(row, "next_rotation_at_ms")? else { return Ok(None) };
    Ok(Some(AutomaticRotation { period_days: column(row, "rotation_period_days")?, next_at }))
}

pub(super) fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(while_doing("reading a column"))
}

pub(super) fn time_column(row: &SqliteRow, name: &'static str) -> Result<UnixTime, StoreError> {
    time(column(row, name)?)
}

pub(super) fn optional_time_column(
    row: &SqliteRow,
    name: &'static str,
) -> Result<Option<UnixTime>, StoreError> {
    column::<Option<i64>>(row, name)?.map(time).transpose()
}

fn time(ms: i64) -> Result<UnixTime, StoreError> {
    Ok(UnixTime::from_ms(u64::try_from(ms).map_err(|error| corrupt("time", error))?))
}

pub(super) fn ms(time: UnixTime) -> i64 {
    i64::try_from(time.as_ms()).unwrap_or(i64::MAX)
}
