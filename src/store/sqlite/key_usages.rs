use async_trait::async_trait;

use super::row::{column, ms, time_column};
use super::{SqliteStore, while_doing};
use crate::keys::{KeyId, LastUsage};
use crate::store::{KeyUsageStore, StoreError};
use crate::time::UnixTime;

#[async_trait]
impl KeyUsageStore for SqliteStore {
    async fn set_last_usages(&self, usages: &[(KeyId, LastUsage)]) -> Result<(), StoreError> {
        let doing = while_doing("noting when keys were used");
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        for (key, usage) in usages {
            // Exhaustive, so that a new field cannot be forgotten here.
            let LastUsage { operation, time, event_id, request_id } = usage;
            sqlx::query(
                "INSERT INTO key_usages (key_id, operation, used_at_ms, event_id, request_id) \
                 SELECT key_id, ?, ?, ?, ? FROM keys WHERE key_id = ? \
                 ON CONFLICT (key_id) DO UPDATE SET operation = excluded.operation, \
                 used_at_ms = excluded.used_at_ms, event_id = excluded.event_id, request_id = excluded.request_id \
                 WHERE used_at_ms <= excluded.used_at_ms",
            )
            .bind(operation)
            .bind(ms(*time))
            .bind(event_id)
            .bind(request_id)
            .bind(key.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)
    }

    async fn last_usage(&self, key: KeyId) -> Result<Option<LastUsage>, StoreError> {
        let row = sqlx::query("SELECT * FROM key_usages WHERE key_id = ?")
            .bind(key.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("reading when a key was used"))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(LastUsage {
            operation: column(&row, "operation")?,
            time: time_column(&row, "used_at_ms")?,
            event_id: column(&row, "event_id")?,
            request_id: column(&row, "request_id")?,
        }))
    }

    async fn usage_tracked_since(&self) -> Result<UnixTime, StoreError> {
        let row = sqlx::query("SELECT usage_tracked_since_ms FROM realm")
            .fetch_one(&self.pool)
            .await
            .map_err(while_doing("reading since when usage is tracked"))?;
        time_column(&row, "usage_tracked_since_ms")
    }
}
