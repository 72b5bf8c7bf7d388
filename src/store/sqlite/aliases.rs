use async_trait::async_trait;

use super::row::{alias_entry, ms};
use super::{SqliteStore, while_doing};
use crate::keys::{AliasName, KeyId};
use crate::store::{AliasEntry, AliasStore, StoreError};
use crate::time::UnixTime;

#[async_trait]
impl AliasStore for SqliteStore {
    async fn insert_alias(&self, name: &AliasName, key: KeyId, now: UnixTime) -> Result<(), StoreError> {
        let inserted = sqlx::query("INSERT INTO aliases (name, key_id, created_at_ms) VALUES (?, ?, ?)")
            .bind(name.as_str())
            .bind(key.to_string())
            .bind(ms(now))
            .execute(&self.pool)
            .await;
        match inserted {
            Ok(_) => {
                self.let_readers_notice().await;
                Ok(())
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(StoreError::AliasExists(name.clone()))
            }
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                Err(StoreError::NoSuchKey(key))
            }
            Err(error) => Err(while_doing("adding an alias")(error)),
        }
    }

    async fn update_alias(
        &self,
        name: &AliasName,
        from: KeyId,
        to: KeyId,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let update =
            sqlx::query("UPDATE aliases SET key_id = ?, updated_at_ms = ? WHERE name = ? AND key_id = ?")
                .bind(to.to_string())
                .bind(ms(now))
                .bind(name.as_str())
                .bind(from.to_string());
        let is_there = self.change(update, "pointing an alias to another key").await?;
        is_there.then_some(()).ok_or_else(|| StoreError::NoSuchAlias(name.clone()))
    }

    async fn delete_alias(&self, name: &AliasName, key: KeyId) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM aliases WHERE name = ? AND key_id = ?")
            .bind(name.as_str())
            .bind(key.to_string());
        let is_there = self.change(delete, "deleting an alias").await?;
        is_there.then_some(()).ok_or_else(|| StoreError::NoSuchAlias(name.clone()))
    }

    async fn list_aliases(
        &self,
        key: Option<KeyId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AliasEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, key_id, created_at_ms, updated_at_ms FROM aliases \
             WHERE name > ?1 AND (?2 IS NULL OR key_id = ?2) ORDER BY name LIMIT ?3",
        )
        .bind(after.unwrap_or_default())
        .bind(key.map(|key| key.to_string()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("listing aliases"))?;
        rows.iter().map(alias_entry).collect()
    }
}
