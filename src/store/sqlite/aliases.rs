use async_trait::async_trait;

use super::row::ms;
use super::{SqliteStore, while_doing};
use crate::keys::{AliasName, KeyId};
use crate::store::{AliasStore, StoreError};
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

    async fn update_alias(&self, name: &AliasName, from: KeyId, to: KeyId) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE aliases SET key_id = ? WHERE name = ? AND key_id = ?")
            .bind(to.to_string())
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
}
