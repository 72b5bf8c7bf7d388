use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::row::{column, ms, time_column};
use super::{SqliteStore, corrupt, while_doing};
use crate::crypto::PasswordHash;
use crate::store::{Operator, OperatorName, OperatorStore, StoreError};

#[async_trait]
impl OperatorStore for SqliteStore {
    async fn insert_operator(&self, operator: &Operator) -> Result<bool, StoreError> {
        // Exhaustive, so that a new field cannot be forgotten here.
        let Operator { name, password_hash, created_at } = operator;
        let insert = sqlx::query(
            "INSERT INTO operators (name, password_hash, created_at_ms) VALUES (?, ?, ?) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.as_str())
        .bind(password_hash.as_str())
        .bind(ms(*created_at));
        self.change(insert, "adding an operator").await
    }

    async fn find_operator(&self, name: &OperatorName) -> Result<Option<Operator>, StoreError> {
        let row = sqlx::query("SELECT * FROM operators WHERE name = ?")
            .bind(name.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("reading an operator"))?;
        row.as_ref().map(operator).transpose()
    }

    async fn list_operators(&self) -> Result<Vec<Operator>, StoreError> {
        let rows = sqlx::query("SELECT * FROM operators ORDER BY name")
            .fetch_all(&self.pool)
            .await
            .map_err(while_doing("listing operators"))?;
        rows.iter().map(operator).collect()
    }

    async fn delete_operator(&self, name: &OperatorName) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM operators WHERE name = ?").bind(name.as_str());
        self.change(delete, "removing an operator").await
    }
}

fn operator(row: &SqliteRow) -> Result<Operator, StoreError> {
    let (name, hash): (String, String) = (column(row, "name")?, column(row, "password_hash")?);
    Ok(Operator {
        name: OperatorName::parse(&name).map_err(|error| corrupt("operator's name", error))?,
        password_hash: PasswordHash::parse(&hash).map_err(|error| corrupt("password hash", error))?,
        created_at: time_column(row, "created_at_ms")?,
    })
}
