use async_trait::async_trait;

use super::row::ms;
use super::{SqliteStore, while_doing};
use crate::keys::{AutomaticRotation, KeyId, WrappedKeyMaterial};
use crate::store::{KeyMaterialStore, StoreError};
use crate::time::UnixTime;

#[async_trait]
impl KeyMaterialStore for SqliteStore {
    async fn add_material(
        &self,
        key: KeyId,
        material: &WrappedKeyMaterial,
        next: Option<AutomaticRotation>,
    ) -> Result<(), StoreError> {
        let doing = while_doing("adding key material");
        let key_id = key.to_string();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        let added = sqlx::query(
            "INSERT INTO key_materials (key_id, version, material_id, wrapped, rotated_at_ms, rotation_type) \
             SELECT key_id, max(version) + 1, ?, ?, ?, ? FROM key_materials WHERE key_id = ? GROUP BY key_id",
        )
        .bind(material.id().as_bytes().as_slice())
        .bind(material.wrapped())
        .bind(material.rotation().map(|rotation| ms(rotation.date)))
        .bind(material.rotation().map(|rotation| rotation.kind.name()))
        .bind(&key_id)
        .execute(&mut *transaction)
        .await
        .map_err(doing)?;
        if added.rows_affected() != 1 {
            return Err(StoreError::NoSuchKey(key));
        }
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
        Ok(())
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
