//! The database file, by a connection that is not the broker's.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

pub struct Database(SqliteConnection);

impl Database {
    pub async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
        Self(SqliteConnection::connect_with(&options).await.unwrap())
    }

    /// Executes one statement that changes something, and waits as the store does after a change until every reader
    /// must have noticed.
    pub async fn execute(&mut self, sql: &str) {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut self.0).await.unwrap();
        assert!(done.rows_affected() > 0, "nothing was changed by {sql}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }

    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}
