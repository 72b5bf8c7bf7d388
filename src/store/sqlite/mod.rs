mod aliases;
mod cache;
mod credentials;
mod grants;
mod identity_policies;
mod key_materials;
mod key_usages;
mod keys;
mod operators;
mod row;
mod tags;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::query::{Query, QueryScalar};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqlitePool};

use self::cache::{Cache, Change, Seen};
use self::row::column;
use super::{Store, StoreError};
use crate::keys::{KeyId, Realm};
use crate::metrics::{CacheCounters, Caches};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was read counts as current. A change waits as long before it reports success, so whoever was told of
/// a change finds it in force, also in another process: a read that still misses it began before it was reported.
pub const MAX_STALENESS: Duration = Duration::from_millis(25);

/// The embedded store: one SQLite file.
///
/// Reads are answered from memory as long as SQLite's `data_version` said within [`MAX_STALENESS`] that no other
/// connection, in this process or in another, has changed the file. After a change, the table `changes` says what to forget.
pub struct SqliteStore {
    pool: SqlitePool,
    /// Reads only; its `data_version` changes with every commit of any other connection.
    observer: tokio::sync::Mutex<PoolConnection<Sqlite>>,
    realm: Realm,
    cache: Mutex<Cache>,
    lookups: CacheCounters,
}

/// What a look into the cache comes to.
enum Looked<'s, T> {
    Found(T),
    /// It is to be read from the file, and belongs to this version of it.
    Absent {
        observer: tokio::sync::MutexGuard<'s, PoolConnection<Sqlite>>,
        seen: Seen,
    },
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
        sqlx::query(
            "INSERT INTO realm (singleton, region, account, root_key_check, usage_tracked_since_ms) \
             VALUES (1, ?, ?, ?, 0)",
        )
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
        let change: i64 = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM changes")
            .fetch_one(&mut *observer)
            .await
            .map_err(while_doing("looking for changes"))?;
        let cache = Mutex::new(Cache::empty(change));
        let lookups = CacheCounters::default();
        Ok(Self { pool, observer: tokio::sync::Mutex::new(observer), realm, cache, lookups })
    }

    /// Forgets what was changed since the last look, and yields the state of the file that what is read now belongs to.
    async fn refresh_cache(&self, observer: &mut PoolConnection<Sqlite>) -> Result<Seen, StoreError> {
        let doing = while_doing("looking for changes");
        let looked_at = Some(Instant::now());
        let before = self.with_cache(|cache| cache.seen);
        let data_version: i64 =
            sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut **observer).await.map_err(doing)?;
        if data_version == before.data_version {
            self.with_cache(|cache| cache.looked_at = looked_at);
            return Ok(before);
        }
        let changes: Vec<Change> =
            sqlx::query_as("SELECT number, what, id FROM changes WHERE number >= ? ORDER BY number")
                .bind(before.change)
                .fetch_all(&mut **observer)
                .await
                .map_err(doing)?;
        let seen = Seen { data_version, change: changes.last().map_or(0, |last| last.number) };
        self.with_cache(|cache| {
            cache.follow(seen, &changes);
            cache.looked_at = looked_at;
        });
        Ok(seen)
    }

    /// What `look` finds in the cache, if the cache counts as current.
    fn cached<T>(&self, look: impl FnOnce(&Cache) -> Option<T>) -> Option<T> {
        self.with_cache(|cache| if cache.is_current() { look(cache) } else { None })
    }

    /// What `look` finds in the cache once that is current, or else the right to read it from the file.
    async fn look<T>(&self, look: impl Fn(&Cache) -> Option<T>) -> Result<Looked<'_, T>, StoreError> {
        let looked = self.look_uncounted(look).await?;
        self.lookups.looked(matches!(looked, Looked::Found(_)));
        Ok(looked)
    }

    async fn look_uncounted<T>(
        &self,
        look: impl Fn(&Cache) -> Option<T>,
    ) -> Result<Looked<'_, T>, StoreError> {
        if let Some(found) = self.cached(&look) {
            return Ok(Looked::Found(found));
        }
        let mut observer = self.observer.lock().await;
        // Whoever held the observer meanwhile looked for this reader, too.
        if let Some(found) = self.cached(&look) {
            return Ok(Looked::Found(found));
        }
        let seen = self.refresh_cache(&mut observer).await?;
        Ok(match self.with_cache(|cache| look(cache)) {
            Some(found) => Looked::Found(found),
            None => Looked::Absent { observer, seen },
        })
    }

    /// Lets every reader come to look for changes again.
    async fn let_readers_notice(&self) {
        self.with_cache(|cache| cache.looked_at = None);
        tokio::time::sleep(MAX_STALENESS).await;
    }

    /// Empties the write-ahead log: what it still holds of deleted material goes with it. Readers may hold that up until
    /// the next time.
    async fn empty_log(&self) -> Result<(), StoreError> {
        let doing = while_doing("emptying the write-ahead log");
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await.map_err(doing)?;
        Ok(())
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
}

#[async_trait]
impl Store for SqliteStore {
    fn caches(&self) -> Caches {
        Caches(vec![("store", self.lookups.clone())])
    }

    async fn realm(&self) -> Result<Realm, StoreError> {
        Ok(self.realm.clone())
    }

    async fn root_key_check(&self) -> Result<Vec<u8>, StoreError> {
        sqlx::query_scalar("SELECT root_key_check FROM realm")
            .fetch_one(&self.pool)
            .await
            .map_err(while_doing("reading the root key check"))
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

fn while_doing(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError + Copy {
    move |error| StoreError::Database { doing, error }
}

fn corrupt(what: &'static str, problem: impl ToString) -> StoreError {
    StoreError::Corrupt { what, problem: problem.to_string() }
}
