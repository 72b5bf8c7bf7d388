mod row;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::query::{Query, QueryScalar};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Sqlite, SqlitePool};

use self::row::{
    automatic_rotation, column, credential, ms, optional_time_column, time_column, wrapped_material,
};
use super::{Credential, KeyEntry, Store, StoreError};
use crate::keys::{
    AliasName, AutomaticRotation, Key, KeyId, KeyIdentifier, KeyState, Realm, WrappedKeyMaterial,
};
use crate::policy::KeyPolicy;
use crate::time::UnixTime;

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Keys or credentials remembered at most, all dropped when there would be more: a bound, not a working set.
const MAX_CACHED: usize = 10_000;

/// How long what was read counts as current. A change waits as long before it reports success, so whoever was told of
/// a change finds it in force, also in another process: a read that still misses it began before it was reported.
pub const MAX_STALENESS: Duration = Duration::from_millis(25);

/// The embedded store: one SQLite file.
///
/// Reads are answered from memory as long as SQLite's `data_version` said within [`MAX_STALENESS`] that no other
/// connection, in this process or in another, has changed the file.
pub struct SqliteStore {
    pool: SqlitePool,
    /// Reads only; its `data_version` changes with every commit of any other connection.
    observer: tokio::sync::Mutex<PoolConnection<Sqlite>>,
    realm: Realm,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    data_version: i64,
    /// When the last look for changes began.
    looked_at: Option<Instant>,
    keys: HashMap<KeyIdentifier, Arc<KeyEntry>>,
    credentials: HashMap<String, Arc<Credential>>,
}

impl SqliteStore {
    /// Makes a new store file.
    ///
    /// # Errors
    /// When the file exists or cannot be made.
    pub async fn create(path: &Path, realm: &Realm, root_key_check: &[u8]) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists(path.display().to_string()));
        }
        let pool = connect(path, true).await?;
        MIGRATIONS.run(&pool).await?;
        sqlx::query("INSERT INTO realm (singleton, region, account, root_key_check) VALUES (1, ?, ?, ?)")
            .bind(realm.region())
            .bind(realm.account())
            .bind(root_key_check)
            .execute(&pool)
            .await
            .map_err(while_doing("making the store"))?;
        Self::on(pool).await
    }

    /// Opens a store file and brings its schema up to date.
    ///
    /// # Errors
    /// When it is not there, no store, or of a newer schema than this broker knows.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.display().to_string()));
        }
        let pool = connect(path, false).await?;
        MIGRATIONS.run(&pool).await?;
        Self::on(pool).await
    }

    async fn on(pool: SqlitePool) -> Result<Self, StoreError> {
        let mut observer = pool.acquire().await.map_err(while_doing("opening the store"))?;
        let row = sqlx::query("SELECT region, account FROM realm")
            .fetch_one(&mut *observer)
            .await
            .map_err(while_doing("reading the realm"))?;
        let realm = Realm::new(&column::<String>(&row, "region")?, &column::<String>(&row, "account")?)
            .map_err(|error| corrupt("realm", error))?;
        Ok(Self { pool, observer: tokio::sync::Mutex::new(observer), realm, cache: Mutex::default() })
    }

    /// Forgets what is cached if anything was written since, and yields the version that what is read now belongs to.
    async fn refresh_cache(&self, observer: &mut PoolConnection<Sqlite>) -> Result<i64, StoreError> {
        let looked_at = Some(Instant::now());
        let data_version: i64 = sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut **observer)
            .await
            .map_err(while_doing("looking for changes"))?;
        self.with_cache(|cache| {
            if cache.data_version != data_version {
                *cache = Cache { data_version, ..Cache::default() };
            }
            cache.looked_at = looked_at;
        });
        Ok(data_version)
    }

    /// What `look` finds in the cache, if the cache counts as current.
    fn cached<T>(&self, look: impl FnOnce(&Cache) -> Option<T>) -> Option<T> {
        self.with_cache(|cache| {
            let is_current = cache.looked_at.is_some_and(|looked_at| looked_at.elapsed() < MAX_STALENESS);
            if is_current { look(cache) } else { None }
        })
    }

    /// Lets every reader come to look for changes again.
    async fn let_readers_notice(&self) {
        self.with_cache(|cache| cache.looked_at = None);
        tokio::time::sleep(MAX_STALENESS).await;
    }

    /// Carries out one statement and says whether it changed something.
    async fn change(
        &self,
        statement: Query<'_, Sqlite, SqliteArguments>,
        doing: &'static str,
    ) -> Result<bool, StoreError> {
        let done = statement.execute(&self.pool).await.map_err(while_doing(doing))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.let_readers_notice().await;
        Ok(true)
    }

    async fn ids(
        &self,
        query: QueryScalar<'_, Sqlite, String, SqliteArguments>,
        doing: &'static str,
    ) -> Result<Vec<KeyId>, StoreError> {
        let ids = query.fetch_all(&self.pool).await.map_err(while_doing(doing))?;
        ids.iter().map(|id| id.parse().map_err(|error| corrupt("key id", error))).collect()
    }

    fn with_cache<T>(&self, look: impl FnOnce(&mut Cache) -> T) -> T {
        // A panic while the lock is held leaves at worst an entry out.
        look(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }

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
        let policy: String = column(row, "policy")?;
        let materials = sqlx::query(
            "SELECT material_id, wrapped, rotated_at_ms, rotation_type FROM key_materials \
             WHERE key_id = ? ORDER BY version",
        )
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
        let key = Key {
            id,
            arn: self.realm.key_arn(id),
            state: KeyState::from_name(&state).ok_or_else(|| corrupt("key state", state))?,
            description: column(row, "description")?,
            created_at: time_column(row, "created_at_ms")?,
            deletion_at: optional_time_column(row, "deletion_at_ms")?,
            rotation: automatic_rotation(row)?,
            policy: Arc::new(KeyPolicy::parse(&policy).map_err(|error| corrupt("key policy", error))?),
            materials: materials.iter().map(wrapped_material).collect::<Result<_, _>>()?,
        };
        Ok(KeyEntry { key, aliases })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn realm(&self) -> Result<Realm, StoreError> {
        Ok(self.realm.clone())
    }

    async fn root_key_check(&self) -> Result<Vec<u8>, StoreError> {
        sqlx::query_scalar("SELECT root_key_check FROM realm")
            .fetch_one(&self.pool)
            .await
            .map_err(while_doing("reading the root key check"))
    }

    async fn find_key(&self, identifier: &KeyIdentifier) -> Result<Option<Arc<KeyEntry>>, StoreError> {
        if let Some(found) = self.cached(|cache| cache.keys.get(identifier).cloned()) {
            return Ok(Some(found));
        }
        let mut observer = self.observer.lock().await;
        // Whoever held the observer meanwhile looked for this reader, too.
        if let Some(found) = self.cached(|cache| cache.keys.get(identifier).cloned()) {
            return Ok(Some(found));
        }
        let data_version = self.refresh_cache(&mut observer).await?;
        if let Some(found) = self.with_cache(|cache| cache.keys.get(identifier).cloned()) {
            return Ok(Some(found));
        }
        let Some(found) = self.read_key(&mut observer, identifier).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.with_cache(|cache| {
            if cache.data_version == data_version {
                remember(&mut cache.keys, identifier.clone(), Arc::clone(&found));
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

    async fn insert_key(&self, key: &Key) -> Result<(), StoreError> {
        let doing = while_doing("adding a key");
        // Exhaustive, so that a new field cannot be forgotten here.
        let Key { id, arn: _, state, description, created_at, deletion_at, rotation, policy, materials } =
            key;
        let mut transaction = self.pool.begin().await.map_err(doing)?;
        let key_id = id.to_string();
        sqlx::query(
            "INSERT INTO keys (key_id, state, description, created_at_ms, deletion_at_ms, rotation_period_days, \
             next_rotation_at_ms, policy) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key_id)
        .bind(state.name())
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
            sqlx::query(
                "INSERT INTO key_materials (key_id, version, material_id, wrapped, rotated_at_ms, rotation_type) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(&key_id)
            .bind(version)
            .bind(material.id().as_bytes().as_slice())
            .bind(material.wrapped())
            .bind(material.rotation().map(|rotation| ms(rotation.date)))
            .bind(material.rotation().map(|rotation| rotation.kind.name()))
            .execute(&mut *transaction)
            .await
            .map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(())
    }

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

    async fn set_policy(&self, key: KeyId, policy: &KeyPolicy) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE keys SET policy = ? WHERE key_id = ?")
            .bind(policy.text())
            .bind(key.to_string());
        let is_there = self.change(update, "replacing a policy").await?;
        is_there.then_some(()).ok_or(StoreError::NoSuchKey(key))
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

    async fn set_enabled(&self, key: KeyId, enabled: bool) -> Result<bool, StoreError> {
        let state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
        let update = sqlx::query("UPDATE keys SET state = ? WHERE key_id = ? AND state <> 'PendingDeletion'")
            .bind(state.name())
            .bind(key.to_string());
        self.change(update, "enabling or disabling a key").await
    }

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
            "DELETE FROM key_materials WHERE key_id = ?",
            "DELETE FROM keys WHERE key_id = ?",
        ] {
            sqlx::query(delete).bind(&key_id).execute(&mut *transaction).await.map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        // What the log still holds of it goes with the log; readers may hold that up until the next time.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await.map_err(doing)?;
        Ok(true)
    }

    async fn set_description(&self, key: KeyId, description: &str) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE keys SET description = ? WHERE key_id = ?")
            .bind(description)
            .bind(key.to_string());
        let is_there = self.change(update, "replacing a description").await?;
        is_there.then_some(()).ok_or(StoreError::NoSuchKey(key))
    }

    async fn insert_credential(&self, credential: &Credential) -> Result<(), StoreError> {
        // Exhaustive, so that a new field cannot be forgotten here.
        let Credential {
            access_key_id,
            principal,
            wrapped_secret,
            session_token_sha256,
            created_at,
            expires_at,
        } = credential;
        sqlx::query(
            "INSERT INTO credentials \
             (access_key_id, principal_arn, wrapped_secret, session_token_sha256, created_at_ms, expires_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(access_key_id)
        .bind(principal.as_str())
        .bind(wrapped_secret)
        .bind(session_token_sha256.as_ref().map(<[u8; 32]>::as_slice))
        .bind(ms(*created_at))
        .bind(expires_at.map(ms))
        .execute(&self.pool)
        .await
        .map_err(while_doing("adding a credential"))?;
        self.let_readers_notice().await;
        Ok(())
    }

    async fn find_credential(&self, access_key_id: &str) -> Result<Option<Arc<Credential>>, StoreError> {
        if let Some(found) = self.cached(|cache| cache.credentials.get(access_key_id).cloned()) {
            return Ok(Some(found));
        }
        let mut observer = self.observer.lock().await;
        // Whoever held the observer meanwhile looked for this reader, too.
        if let Some(found) = self.cached(|cache| cache.credentials.get(access_key_id).cloned()) {
            return Ok(Some(found));
        }
        let data_version = self.refresh_cache(&mut observer).await?;
        if let Some(found) = self.with_cache(|cache| cache.credentials.get(access_key_id).cloned()) {
            return Ok(Some(found));
        }
        let row = sqlx::query("SELECT * FROM credentials WHERE access_key_id = ?")
            .bind(access_key_id)
            .fetch_optional(&mut **observer)
            .await
            .map_err(while_doing("reading a credential"))?;
        let Some(row) = row else { return Ok(None) };
        let found = Arc::new(credential(&row)?);
        self.with_cache(|cache| {
            if cache.data_version == data_version {
                remember(&mut cache.credentials, access_key_id.to_owned(), Arc::clone(&found));
            }
        });
        Ok(Some(found))
    }
}

async fn connect(path: &Path, create: bool) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // Full: a commit that was reported survives a power cut also in WAL mode.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // What is deleted is overwritten: wrapped material is to be gone, too.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY_TIMEOUT);
    SqlitePoolOptions::new()
        .max_connections(4)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(while_doing("opening the store"))
}

fn remember<K: std::hash::Hash + Eq, V>(cached: &mut HashMap<K, V>, key: K, value: V) {
    if cached.len() >= MAX_CACHED {
        cached.clear();
    }
    cached.insert(key, value);
}

fn while_doing(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError + Copy {
    move |error| StoreError::Database { doing, error }
}

fn corrupt(what: &'static str, problem: impl ToString) -> StoreError {
    StoreError::Corrupt { what, problem: problem.to_string() }
}
