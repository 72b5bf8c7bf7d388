//! The database file, by a connection that is not the broker's.

use std::path::Path;

use nitro_key_broker::store::MAX_STALENESS;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

pub struct Database(SqliteConnection);

impl Database {
    pub async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
        Self(SqliteConnection::connect_with(&options).await.unwrap())
    }

    /// Executes one statement that changes something.
    pub async fn execute(&mut self, sql: &str) {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut self.0).await.unwrap();
        assert!(done.rows_affected() > 0, "nothing was changed by {sql}");
        // A change behind the store's back owes its readers the wait that the store itself observes.
        tokio::time::sleep(MAX_STALENESS).await;
    }

    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}
