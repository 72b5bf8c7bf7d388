mod aliases;
mod credentials;
mod grants;
mod identity_policies;
mod key_materials;
mod key_usages;
mod keys;
mod row;
mod tags;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::query::{Query, QueryScalar};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqlitePool};

use self::row::column;
use super::{Credential, KeyEntry, Store, StoreError};
use crate::keys::{AliasName, KeyId, KeyIdentifier, Realm};
use crate::metrics::{CacheCounters, Caches};
use crate::policy::{AttachedPolicy, Grant, GrantId, MAX_GRANTS_PER_KEY, PolicyHolder};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Keys, aliases, credentials, principals, grants or lists of grants remembered at most, all dropped when there would be
/// more: a bound, not a working set.
const MAX_CACHED: usize = 10_000;

/// Grants remembered at most in lists, all dropped when there would be more: as many as one key can have.
const MAX_CACHED_IN_LISTS: usize = MAX_GRANTS_PER_KEY as usize;

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
    lookups: CacheCounters,
}

#[derive(Default)]
struct Cache {
    data_version: i64,
    /// When the last look for changes began.
    looked_at: Option<Instant>,
    keys: HashMap<KeyId, Arc<KeyEntry>>,
    aliases: HashMap<AliasName, KeyId>,
    credentials: HashMap<String, Arc<Credential>>,
    identity_policies: HashMap<PolicyHolder, Arc<[AttachedPolicy]>>,
    grants: HashMap<GrantId, Arc<Grant>>,
    grants_to: GrantsTo,
}

/// The caller by its ARN.
type KeyAndCaller = (KeyId, Box<str>);

/// The grants on a key that name a caller, also when there are none.
#[derive(Default)]
struct GrantsTo {
    lists: HashMap<KeyAndCaller, Arc<[Arc<Grant>]>>,
    /// Grants in all lists.
    grants: usize,
}

/// What a look into the cache comes to.
enum Looked<'s, T> {
    Found(T),
    /// It is to be read from the file, and belongs to this version of it.
    Absent {
        observer: tokio::sync::MutexGuard<'s, PoolConnection<Sqlite>>,
        data_version: i64,
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
        Ok(Self {
            pool,
            observer: tokio::sync::Mutex::new(observer),
            realm,
            cache: Mutex::default(),
            lookups: CacheCounters::default(),
        })
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
        let data_version = self.refresh_cache(&mut observer).await?;
        Ok(match self.with_cache(|cache| look(cache)) {
            Some(found) => Looked::Found(found),
            None => Looked::Absent { observer, data_version },
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

impl Cache {
    fn key(&self, identifier: &KeyIdentifier) -> Option<Arc<KeyEntry>> {
        let id = match identifier {
            KeyIdentifier::Key(id) => id,
            KeyIdentifier::Alias(name) => self.aliases.get(name)?,
        };
        self.keys.get(id).cloned()
    }

    fn remember_key(&mut self, identifier: &KeyIdentifier, entry: &Arc<KeyEntry>) {
        if let KeyIdentifier::Alias(name) = identifier {
            remember(&mut self.aliases, name.clone(), entry.key.id);
        }
        remember(&mut self.keys, entry.key.id, Arc::clone(entry));
    }
}

impl GrantsTo {
    fn get(&self, name: &KeyAndCaller) -> Option<Arc<[Arc<Grant>]>> {
        self.lists.get(name).cloned()
    }

    fn remember(&mut self, name: KeyAndCaller, list: Arc<[Arc<Grant>]>) {
        if self.lists.len() >= MAX_CACHED || self.grants + list.len() > MAX_CACHED_IN_LISTS {
            *self = Self::default();
        }
        self.grants += list.len();
        if let Some(before) = self.lists.insert(name, list) {
            self.grants -= before.len();
        }
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

#[cfg(test)]
mod tests {
    use crate::encryption_context::EncryptionContext;
    use crate::policy::{GrantConstraint, GrantOperation, GrantTerms, PrincipalArn};
    use crate::time::UnixTime;

    use super::*;

    #[test]
    fn lists_of_grants_are_bounded_by_the_grants_in_them() {
        let grant = Arc::new(Grant {
            id: GrantId::from_bytes([7; 32]),
            resource: "key".into(),
            name: None,
            terms: GrantTerms {
                grantee: PrincipalArn::parse("arn:aws:iam::111122223333:user/alice").unwrap(),
                retiring: None,
                operations: [GrantOperation::Decrypt].into_iter().collect(),
                constraint: Some(GrantConstraint::EncryptionContextEquals(EncryptionContext::EMPTY)),
            },
            issuing_account: "111122223333".into(),
            created_at: UnixTime::from_secs(0),
        });
        let name = |caller: usize| (KeyId::from_bytes([1; 16]), Box::from(caller.to_string()));
        let mut lists = GrantsTo::default();
        for caller in 0..10 {
            lists.remember(name(caller), vec![Arc::clone(&grant); 20_000].into());
            assert!(lists.grants <= MAX_CACHED_IN_LISTS, "{} grants", lists.grants);
            assert_eq!(lists.grants, lists.lists.values().map(|list| list.len()).sum::<usize>());
            assert_eq!(lists.get(&name(caller)).unwrap().len(), 20_000);
        }
        // The same list again takes the place of the one before.
        for _ in 0..10 {
            lists.remember(name(9), vec![Arc::clone(&grant); 10].into());
        }
        assert_eq!(lists.grants, lists.lists.values().map(|list| list.len()).sum::<usize>());
        for caller in 100..100 + 2 * MAX_CACHED {
            lists.remember(name(caller), Arc::default());
        }
        assert!(lists.lists.len() <= MAX_CACHED);
    }
}
