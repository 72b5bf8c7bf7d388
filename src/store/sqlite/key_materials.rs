use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::row::{key_id, material_id, ms};
use super::{SqliteStore, while_doing};
use crate::keys::{
    AutomaticRotation, KeyId, KeyMaterialId, MAX_ON_DEMAND_ROTATIONS, Rotation, RotationKind,
    WrappedKeyMaterial,
};
use crate::store::{KeyMaterialStore, StoreError};
use crate::time::UnixTime;

#[async_trait]
impl KeyMaterialStore for SqliteStore {
    async fn add_material(
        &self,
        key: KeyId,
        material: &WrappedKeyMaterial,
        next: Option<AutomaticRotation>,
    ) -> Result<bool, StoreError> {
        let doing = while_doing("adding key material");
        let key_id = key.to_string();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM key_materials WHERE key_id = ?")
                .bind(&key_id)
                .fetch_one(&mut *transaction)
                .await
                .map_err(doing)?;
        let latest = latest.ok_or(StoreError::NoSuchKey(key))?;
        if material.rotation().is_some_and(|rotation| rotation.kind == RotationKind::OnDemand)
            && on_demand_rotations(&mut transaction, &key_id).await.map_err(doing)? >= MAX_ON_DEMAND_ROTATIONS
        {
            return Ok(false);
        }
        insert_material(&mut transaction, &key_id, latest + 1, material).await.map_err(doing)?;
        if let Some(next) = next {
            sqlx::query("UPDATE keys SET next_rotation_at_ms = ? WHERE key_id = ?")
                .bind(ms(next.next_at))
                .bind(&key_id)
                .execute(&mut *transaction)
                .await
                .map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(true)
    }

    async fn import_material(
        &self,
        key: KeyId,
        material: &WrappedKeyMaterial,
        public_key: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let doing = while_doing("importing key material");
        let key_id = key.to_string();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        let enabled = sqlx::query(
            "UPDATE keys SET state = 'Enabled', public_key = coalesce(public_key, ?) \
                         WHERE key_id = ? AND state <> 'PendingDeletion'",
        )
        .bind(public_key)
        .bind(&key_id)
        .execute(&mut *transaction)
        .await
        .map_err(doing)?;
        if enabled.rows_affected() == 0 {
            return Ok(false);
        }
        let given_back = sqlx::query(
            "UPDATE key_materials SET wrapped = ?, valid_to_ms = ?, description = coalesce(?, description) \
             WHERE key_id = ? AND material_id = ?",
        )
        .bind(material.wrapped().unwrap_or_default())
        .bind(material.import().and_then(|import| import.valid_to).map(ms))
        .bind(material.import().and_then(|import| import.description.as_deref()))
        .bind(&key_id)
        .bind(material.id().as_bytes().as_slice())
        .execute(&mut *transaction)
        .await
        .map_err(doing)?;
        if given_back.rows_affected() == 0 {
            // New material is the first, or awaits its rotation behind the current one.
            let (latest, pending): (Option<i64>, bool) = sqlx::query_as(
                "SELECT max(version), coalesce(max(pending_rotation), 0) FROM key_materials WHERE key_id = ?",
            )
            .bind(&key_id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing)?;
            if pending || latest.is_some() != material.is_pending_rotation() {
                return Ok(false);
            }
            let version = latest.unwrap_or(0) + 1;
            insert_material(&mut transaction, &key_id, version, material).await.map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(true)
    }

    async fn rotate_to_imported(&self, key: KeyId, rotation: Rotation) -> Result<bool, StoreError> {
        let doing = while_doing("rotating to imported key material");
        let key_id = key.to_string();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        if on_demand_rotations(&mut transaction, &key_id).await.map_err(doing)? >= MAX_ON_DEMAND_ROTATIONS {
            return Ok(false);
        }
        let rotated = sqlx::query(
            "UPDATE key_materials SET pending_rotation = 0, rotated_at_ms = ?, rotation_type = ? \
             WHERE key_id = ? AND pending_rotation = 1",
        )
        .bind(ms(rotation.date))
        .bind(rotation.kind.name())
        .bind(&key_id)
        .execute(&mut *transaction)
        .await
        .map_err(doing)?;
        if rotated.rows_affected() == 0 {
            return Ok(false);
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(true)
    }

    async fn delete_material(
        &self,
        key: KeyId,
        material: &KeyMaterialId,
        expired_by: Option<UnixTime>,
    ) -> Result<bool, StoreError> {
        let doing = while_doing("deleting imported key material");
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        let mut is_done = false;
        for statement in [
            "DELETE FROM key_materials WHERE key_id = ? AND material_id = ? AND imported = 1 \
             AND pending_rotation = 1 AND (? IS NULL OR valid_to_ms <= ?)",
            "UPDATE key_materials SET wrapped = x'' WHERE key_id = ? AND material_id = ? AND imported = 1 \
             AND length(wrapped) > 0 AND (? IS NULL OR valid_to_ms <= ?)",
        ] {
            let done = sqlx::query(statement)
                .bind(key.to_string())
                .bind(material.as_bytes().as_slice())
                .bind(expired_by.map(ms))
                .bind(expired_by.map(ms))
                .execute(&mut *transaction)
                .await
                .map_err(doing)?;
            is_done |= done.rows_affected() > 0;
        }
        if !is_done {
            return Ok(false);
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        self.empty_log().await?;
        Ok(true)
    }

    async fn materials_to_delete(&self, now: UnixTime) -> Result<Vec<(KeyId, KeyMaterialId)>, StoreError> {
        let rows = sqlx::query(
            "SELECT key_id, material_id FROM key_materials \
             WHERE valid_to_ms <= ? AND length(wrapped) > 0 LIMIT 1000",
        )
        .bind(ms(now))
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("looking for key material that has expired"))?;
        let one = |row| Ok((key_id(row)?, material_id(row)?));
        rows.iter().map(one).collect()
    }

    async fn set_rotation(&self, key: KeyId, rotation: Option<AutomaticRotation>) -> Result<(), StoreError> {
        let update =
            sqlx::query("UPDATE keys SET rotation_period_days = ?, next_rotation_at_ms = ? WHERE key_id = ?")
                .bind(rotation.map(|rotation| rotation.period_days))
                .bind(rotation.map(|rotation| ms(rotation.next_at)))
                .bind(key.to_string());
        let is_there = self.change(update, "changing the automatic rotation").await?;
        is_there.then_some(()).ok_or(StoreError::NoSuchKey(key))
    }

    async fn keys_to_rotate(&self, now: UnixTime) -> Result<Vec<KeyId>, StoreError> {
        let due = "SELECT key_id FROM keys WHERE state = 'Enabled' AND next_rotation_at_ms <= ? LIMIT 1000";
        self.ids(sqlx::query_scalar(due).bind(ms(now)), "looking for keys to rotate").await
    }
}

/// Adds one version of a key's material.
pub(super) async fn insert_material(
    transaction: &mut Transaction<'_, Sqlite>,
    key_id: &str,
    version: i64,
    material: &WrappedKeyMaterial,
) -> Result<(), sqlx::Error> {
    let import = material.import();
    sqlx::query(
        "INSERT INTO key_materials (key_id, version, material_id, wrapped, rotated_at_ms, rotation_type, imported, \
         pending_rotation, valid_to_ms, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key_id)
    .bind(version)
    .bind(material.id().as_bytes().as_slice())
    .bind(material.wrapped().unwrap_or_default())
    .bind(material.rotation().map(|rotation| ms(rotation.date)))
    .bind(material.rotation().map(|rotation| rotation.kind.name()))
    .bind(import.is_some())
    .bind(material.is_pending_rotation())
    .bind(import.and_then(|import| import.valid_to).map(ms))
    .bind(import.and_then(|import| import.description.as_deref()))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn on_demand_rotations(
    transaction: &mut Transaction<'_, Sqlite>,
    key_id: &str,
) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM key_materials WHERE key_id = ? AND rotation_type = 'ON_DEMAND'")
        .bind(key_id)
        .fetch_one(&mut **transaction)
        .await
}
