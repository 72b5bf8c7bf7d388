use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;

use super::key_materials::insert_material;
use super::row::{automatic_rotation, column, ms, optional_time_column, time_column, wrapped_material};
use super::tags::insert_tags;
use super::{Looked, SqliteStore, corrupt, while_doing};
use crate::keys::{Key, KeyId, KeyIdentifier, KeyOrigin, KeySpec, KeyState, KeyUsage};
use crate::metrics::KeyCounts;
use crate::policy::KeyPolicy;
use crate::store::{KeyEntry, KeyStore, StoreError};
use crate::time::UnixTime;

#[async_trait]
impl KeyStore for SqliteStore {
    async fn find_key(&self, identifier: &KeyIdentifier) -> Result<Option<Arc<KeyEntry>>, StoreError> {
        let (mut observer, seen) = match self.look(|cache| cache.key(identifier)).await? {
            Looked::Found(found) => return Ok(Some(found)),
            Looked::Absent { observer, seen } => (observer, seen),
        };
        let Some(found) = self.read_key(&mut observer, identifier).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.with_cache(|cache| {
            if cache.seen == seen {
                cache.remember_key(identifier, &found);
            }
        });
        Ok(Some(found))
    }

    async fn list_keys(&self, after: Option<KeyId>, limit: u32) -> Result<Vec<Arc<KeyEntry>>, StoreError> {
        let mut observer = self.observer.lock().await;
        let rows = sqlx::query("SELECT * FROM keys WHERE key_id > ? ORDER BY key_id LIMIT ?")
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(&mut **observer)
            .await
            .map_err(while_doing("listing keys"))?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.push(Arc::new(self.key_entry(&mut observer, row).await?));
        }
        Ok(entries)
    }

    async fn list_key_ids(&self, after: Option<KeyId>, limit: u32) -> Result<Vec<KeyId>, StoreError> {
        let page = sqlx::query_scalar("SELECT key_id FROM keys WHERE key_id > ? ORDER BY key_id LIMIT ?")
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit);
        self.ids(page, "listing keys").await
    }

    async fn count_keys(&self, now: UnixTime) -> Result<KeyCounts, StoreError> {
        let doing = while_doing("counting keys");
        // As `Key::state_at`: imported material that is missing or expired comes before what is stored, except where the
        // key is to be deleted.
        let rows = sqlx::query(
            "SELECT CASE WHEN state <> 'PendingDeletion' AND origin = 'EXTERNAL' AND (\
               NOT EXISTS (SELECT 1 FROM key_materials WHERE key_materials.key_id = keys.key_id) OR \
               EXISTS (SELECT 1 FROM key_materials WHERE key_materials.key_id = keys.key_id \
                 AND (length(wrapped) = 0 OR valid_to_ms <= ?))) \
             THEN 'PendingImport' ELSE state END AS state_now, COUNT(*) AS keys FROM keys GROUP BY state_now",
        )
        .bind(ms(now))
        .fetch_all(&self.pool)
        .await
        .map_err(doing)?;
        let mut counts: KeyCounts = KeyState::ALL.map(|state| (state.name(), 0)).into();
        for row in &rows {
            let name: String = column(row, "state_now")?;
            let keys: i64 = column(row, "keys")?;
            let count = counts.iter_mut().find(|(state, _)| *state == name);
            let (_, count) = count.ok_or_else(|| corrupt("key state", &name))?;
            *count = u64::try_from(keys).map_err(|error| corrupt("number of keys", error))?;
        }
        Ok(counts)
    }

    async fn insert_tagged_key(&self, key: &Key, tags: &BTreeMap<String, String>) -> Result<(), StoreError> {
        let doing = while_doing("adding a key");
        // Exhaustive, so that a new field cannot be forgotten here.
        let Key {
            id,
            arn: _,
            state,
            spec,
            usage,
            origin,
            public_key,
            description,
            created_at,
            deletion_at,
            rotation,
            policy,
            materials,
        } = key;
        let mut transaction = self.pool.begin().await.map_err(doing)?;
        let key_id = id.to_string();
        sqlx::query(
            "INSERT INTO keys (key_id, state, spec, usage, origin, public_key, description, created_at_ms, \
             deletion_at_ms, rotation_period_days, next_rotation_at_ms, policy) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key_id)
        .bind(state.name())
        .bind(spec.name())
        .bind(usage.name())
        .bind(origin.name())
        .bind(public_key)
        .bind(description)
        .bind(ms(*created_at))
        .bind(deletion_at.map(ms))
        .bind(rotation.map(|rotation| rotation.period_days))
        .bind(rotation.map(|rotation| ms(rotation.next_at)))
        .bind(policy.text())
        .execute(&mut *transaction)
        .await
        .map_err(doing)?;
        for (version, material) in (1_i64..).zip(materials) {
            insert_material(&mut transaction, &key_id, version, material).await.map_err(doing)?;
        }
        insert_tags(&mut transaction, &key_id, tags).await.map_err(doing)?;
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(())
    }

    async fn set_policy(&self, key: KeyId, policy: &KeyPolicy) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE keys SET policy = ? WHERE key_id = ?")
            .bind(policy.text())
            .bind(key.to_string());
        let is_there = self.change(update, "replacing a policy").await?;
        is_there.then_some(()).ok_or(StoreError::NoSuchKey(key))
    }

    async fn set_enabled(&self, key: KeyId, enabled: bool) -> Result<bool, StoreError> {
        let state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
        let update = sqlx::query("UPDATE keys SET state = ? WHERE key_id = ? AND state <> 'PendingDeletion'")
            .bind(state.name())
            .bind(key.to_string());
        self.change(update, "enabling or disabling a key").await
    }

    async fn set_description(&self, key: KeyId, description: &str) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE keys SET description = ? WHERE key_id = ?")
            .bind(description)
            .bind(key.to_string());
        let is_there = self.change(update, "replacing a description").await?;
        is_there.then_some(()).ok_or(StoreError::NoSuchKey(key))
    }

    async fn schedule_deletion(&self, key: KeyId, deletion_at: UnixTime) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE keys SET state = 'PendingDeletion', deletion_at_ms = ? \
             WHERE key_id = ? AND state <> 'PendingDeletion'",
        )
        .bind(ms(deletion_at))
        .bind(key.to_string());
        self.change(update, "scheduling a deletion").await
    }

    async fn cancel_deletion(&self, key: KeyId) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE keys SET state = 'Disabled', deletion_at_ms = NULL \
             WHERE key_id = ? AND state = 'PendingDeletion'",
        )
        .bind(key.to_string());
        self.change(update, "cancelling a deletion").await
    }

    async fn keys_to_delete(&self, now: UnixTime) -> Result<Vec<KeyId>, StoreError> {
        let due =
            "SELECT key_id FROM keys WHERE state = 'PendingDeletion' AND deletion_at_ms <= ? LIMIT 1000";
        self.ids(sqlx::query_scalar(due).bind(ms(now)), "looking for keys to delete").await
    }

    async fn delete_key(&self, key: KeyId, now: UnixTime) -> Result<bool, StoreError> {
        let doing = while_doing("deleting a key");
        let key_id = key.to_string();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        let is_due: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM keys WHERE key_id = ? AND state = 'PendingDeletion' AND deletion_at_ms <= ?",
        )
        .bind(&key_id)
        .bind(ms(now))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(doing)?;
        if is_due.is_none() {
            return Ok(false);
        }
        for delete in [
            "DELETE FROM aliases WHERE key_id = ?",
            "DELETE FROM grants WHERE key_id = ?",
            "DELETE FROM key_materials WHERE key_id = ?",
            "DELETE FROM key_usages WHERE key_id = ?",
            "DELETE FROM tags WHERE key_id = ?",
            "DELETE FROM keys WHERE key_id = ?",
        ] {
            sqlx::query(delete).bind(&key_id).execute(&mut *transaction).await.map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        self.empty_log().await?;
        Ok(true)
    }
}

impl SqliteStore {
    async fn read_key(
        &self,
        observer: &mut PoolConnection<Sqlite>,
        identifier: &KeyIdentifier,
    ) -> Result<Option<KeyEntry>, StoreError> {
        let row = match identifier {
            KeyIdentifier::Key(id) => sqlx::query("SELECT * FROM keys WHERE key_id = ?").bind(id.to_string()),
            KeyIdentifier::Alias(name) => {
                sqlx::query("SELECT keys.* FROM keys JOIN aliases USING (key_id) WHERE aliases.name = ?")
                    .bind(name.as_str())
            }
        }
        .fetch_optional(&mut **observer)
        .await
        .map_err(while_doing("reading a key"))?;
        match row {
            Some(row) => self.key_entry(observer, &row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn key_entry(
        &self,
        observer: &mut PoolConnection<Sqlite>,
        row: &SqliteRow,
    ) -> Result<KeyEntry, StoreError> {
        let id_text: String = column(row, "key_id")?;
        let id: KeyId = id_text.parse().map_err(|error| corrupt("key id", error))?;
        let state: String = column(row, "state")?;
        let spec: String = column(row, "spec")?;
        let usage: String = column(row, "usage")?;
        let origin: String = column(row, "origin")?;
        let policy: String = column(row, "policy")?;
        let materials = sqlx::query("SELECT * FROM key_materials WHERE key_id = ? ORDER BY version")
            .bind(&id_text)
            .fetch_all(&mut **observer)
            .await
            .map_err(while_doing("reading key material"))?;
        let aliases: Vec<String> =
            sqlx::query_scalar("SELECT name FROM aliases WHERE key_id = ? ORDER BY name")
                .bind(&id_text)
                .fetch_all(&mut **observer)
                .await
                .map_err(while_doing("reading aliases"))?;
        let tags = sqlx::query("SELECT tag_key, tag_value FROM tags WHERE key_id = ?")
            .bind(&id_text)
            .fetch_all(&mut **observer)
            .await
            .map_err(while_doing("reading tags"))?;
        let tags = tags.iter().map(|tag| Ok((column(tag, "tag_key")?, column(tag, "tag_value")?)));
        let tags = tags.collect::<Result<_, StoreError>>()?;
        let key = Key {
            id,
            arn: self.realm.key_arn(id),
            state: KeyState::from_name(&state).ok_or_else(|| corrupt("key state", state))?,
            spec: KeySpec::from_name(&spec).ok_or_else(|| corrupt("key spec", spec))?,
            usage: KeyUsage::from_name(&usage).ok_or_else(|| corrupt("key usage", usage))?,
            origin: KeyOrigin::from_name(&origin).ok_or_else(|| corrupt("key origin", origin))?,
            public_key: column(row, "public_key")?,
            description: column(row, "description")?,
            created_at: time_column(row, "created_at_ms")?,
            deletion_at: optional_time_column(row, "deletion_at_ms")?,
            rotation: automatic_rotation(row)?,
            policy: Arc::new(KeyPolicy::parse(&policy).map_err(|error| corrupt("key policy", error))?),
            materials: materials.iter().map(wrapped_material).collect::<Result<_, _>>()?,
        };
        Ok(KeyEntry { key, aliases, tags })
    }
}
