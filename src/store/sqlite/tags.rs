use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::{SqliteStore, while_doing};
use crate::keys::{KeyId, MAX_TAGS};
use crate::store::{StoreError, TagStore};

#[async_trait]
impl TagStore for SqliteStore {
    async fn set_tags(&self, key: KeyId, tags: &BTreeMap<String, String>) -> Result<bool, StoreError> {
        let doing = while_doing("tagging a key");
        let key_id = key.to_string();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        match insert_tags(&mut transaction, &key_id, tags).await {
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                return Err(StoreError::NoSuchKey(key));
            }
            inserted => inserted.map_err(doing)?,
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tags WHERE key_id = ?")
            .bind(&key_id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing)?;
        if usize::try_from(count).unwrap_or(usize::MAX) > MAX_TAGS {
            return Ok(false);
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(true)
    }

    async fn delete_tags(&self, key: KeyId, tag_keys: &[String]) -> Result<(), StoreError> {
        let doing = while_doing("taking tags away");
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        for tag_key in tag_keys {
            sqlx::query("DELETE FROM tags WHERE key_id = ? AND tag_key = ?")
                .bind(key.to_string())
                .bind(tag_key)
                .execute(&mut *transaction)
                .await
                .map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(())
    }
}

pub(super) async fn insert_tags(
    connection: &mut SqliteConnection,
    key_id: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), sqlx::Error> {
    for (tag_key, tag_value) in tags {
        sqlx::query(
            "INSERT INTO tags (key_id, tag_key, tag_value) VALUES (?, ?, ?) \
             ON CONFLICT (key_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        )
        .bind(key_id)
        .bind(tag_key)
        .bind(tag_value)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
