use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::row::{credential, ms};
use super::{Cache, Looked, SqliteStore, while_doing};
use crate::policy::PrincipalArn;
use crate::store::{Credential, CredentialStore, StoreError};

#[async_trait]
impl CredentialStore for SqliteStore {
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
        let look = |cache: &Cache| cache.credentials.get(access_key_id).cloned();
        let (mut observer, seen) = match self.look(look).await? {
            Looked::Found(found) => return Ok(Some(found)),
            Looked::Absent { observer, seen } => (observer, seen),
        };
        let row = sqlx::query("SELECT * FROM credentials WHERE access_key_id = ?")
            .bind(access_key_id)
            .fetch_optional(&mut **observer)
            .await
            .map_err(while_doing("reading a credential"))?;
        let Some(row) = row else { return Ok(None) };
        let found = Arc::new(credential(&row)?);
        self.with_cache(|cache| {
            if cache.seen == seen {
                cache.credentials.remember(access_key_id.to_owned(), Arc::clone(&found));
            }
        });
        Ok(Some(found))
    }

    async fn principals_with_credentials(&self, limit: u32) -> Result<Vec<PrincipalArn>, StoreError> {
        let rows =
            sqlx::query("SELECT DISTINCT principal_arn FROM credentials ORDER BY principal_arn LIMIT ?")
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(while_doing("listing principals"))?;
        let parse = |row: &SqliteRow| {
            let text: &str = row.try_get("principal_arn").map_err(while_doing("listing principals"))?;
            PrincipalArn::parse(text)
                .map_err(|error| StoreError::Corrupt { what: "principal", problem: error.to_string() })
        };
        rows.iter().map(parse).collect()
    }
}
