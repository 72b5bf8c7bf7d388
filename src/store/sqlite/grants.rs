use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::row::{column, ms, time_column};
use super::{Looked, SqliteStore, corrupt, while_doing};
use crate::encryption_context::EncryptionContext;
use crate::keys::KeyId;
use crate::policy::{
    Grant, GrantConstraint, GrantId, GrantOperation, GrantOperations, GrantTerms, MAX_GRANTS_PER_KEY,
    PrincipalArn,
};
use crate::store::{GrantStore, StoreError};

#[async_trait]
impl GrantStore for SqliteStore {
    async fn insert_grant(&self, key: KeyId, grant: &Grant) -> Result<GrantId, StoreError> {
        let doing = while_doing("adding a grant");
        // Exhaustive, so that a new field cannot be forgotten here.
        let Grant { id, resource: _, name, terms, issuing_account, created_at } = grant;
        let GrantTerms { grantee, retiring, operations, constraint } = terms;
        let key_id = key.to_string();
        let operations = operations.names().collect::<Vec<_>>().join(",");
        let constraint_type = constraint.as_ref().map(GrantConstraint::name);
        let constraint_context = constraint
            .as_ref()
            .map(|constraint| serde_json::to_string(constraint.context()))
            .transpose()
            .map_err(|error| corrupt("grant constraint", error))?;
        let retiring = retiring.as_ref().map(PrincipalArn::as_str);

        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        if let Some(name) = name {
            let same: Option<Vec<u8>> = sqlx::query_scalar(
                "SELECT grant_id FROM grants WHERE key_id = ? AND name = ? AND grantee = ? AND retiring IS ? \
                 AND operations = ? AND constraint_type IS ? AND constraint_context IS ? AND issuing_account = ? \
                 LIMIT 1",
            )
            .bind(&key_id)
            .bind(&**name)
            .bind(grantee.as_str())
            .bind(retiring)
            .bind(&operations)
            .bind(constraint_type)
            .bind(&constraint_context)
            .bind(&**issuing_account)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(doing)?;
            if let Some(same) = same {
                return grant_id(same);
            }
        }
        let grants: u32 = sqlx::query_scalar("SELECT count(*) FROM grants WHERE key_id = ?")
            .bind(&key_id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing)?;
        if grants >= MAX_GRANTS_PER_KEY {
            return Err(StoreError::TooManyGrants { limit: MAX_GRANTS_PER_KEY });
        }
        let inserted = sqlx::query(
            "INSERT INTO grants (grant_id, key_id, name, grantee, grantee_found_by, retiring, operations, \
             constraint_type, constraint_context, issuing_account, created_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.as_bytes().as_slice())
        .bind(&key_id)
        .bind(name.as_deref())
        .bind(grantee.as_str())
        .bind(grantee.without_role_path())
        .bind(retiring)
        .bind(&operations)
        .bind(constraint_type)
        .bind(&constraint_context)
        .bind(&**issuing_account)
        .bind(ms(*created_at))
        .execute(&mut *transaction)
        .await;
        match inserted {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                return Err(StoreError::NoSuchKey(key));
            }
            Err(error) => return Err(doing(error)),
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(*id)
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Arc<Grant>>, StoreError> {
        let (mut observer, seen) = match self.look(|cache| cache.grants.get(id).cloned()).await? {
            Looked::Found(found) => return Ok(Some(found)),
            Looked::Absent { observer, seen } => (observer, seen),
        };
        let row = sqlx::query("SELECT * FROM grants WHERE grant_id = ?")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&mut **observer)
            .await
            .map_err(while_doing("reading a grant"))?;
        let Some(row) = row else { return Ok(None) };
        let found = Arc::new(self.grant(&row)?);
        self.with_cache(|cache| {
            if cache.seen == seen {
                cache.grants.remember(*id, Arc::clone(&found));
            }
        });
        Ok(Some(found))
    }

    async fn grants_to(&self, key: KeyId, caller: &PrincipalArn) -> Result<Arc<[Arc<Grant>]>, StoreError> {
        let (mut observer, seen) = match self.look(|cache| cache.grants_to.get(key, caller.as_str())).await? {
            Looked::Found(found) => return Ok(found),
            Looked::Absent { observer, seen } => (observer, seen),
        };
        let rows = sqlx::query("SELECT * FROM grants WHERE key_id = ? AND grantee_found_by IN (?, ?)")
            .bind(key.to_string())
            .bind(caller.without_role_path())
            .bind(caller.principal_arn())
            .fetch_all(&mut **observer)
            .await
            .map_err(while_doing("reading grants"))?;
        let found: Arc<[Arc<Grant>]> =
            rows.iter().map(|row| self.grant(row).map(Arc::new)).collect::<Result<_, _>>()?;
        self.with_cache(|cache| {
            if cache.seen == seen {
                cache.grants_to.remember(key, caller.as_str(), Arc::clone(&found));
            }
        });
        Ok(found)
    }

    async fn list_grants(
        &self,
        key: KeyId,
        grantee: Option<&PrincipalArn>,
        after: Option<&GrantId>,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        let rows = match grantee {
            None => sqlx::query(
                "SELECT * FROM grants WHERE key_id = ? AND grant_id > ? ORDER BY grant_id LIMIT ?",
            )
            .bind(key.to_string()),
            Some(grantee) => sqlx::query(
                "SELECT * FROM grants WHERE key_id = ? AND grantee_found_by = ? AND grantee = ? AND grant_id > ? \
                 ORDER BY grant_id LIMIT ?",
            )
            .bind(key.to_string())
            .bind(grantee.without_role_path().to_owned())
            .bind(grantee.as_str()),
        }
        .bind(after_or_start(after))
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(while_doing("listing grants"))?;
        rows.iter().map(|row| self.grant(row)).collect()
    }

    async fn list_retirable_grants(
        &self,
        retiring: &PrincipalArn,
        after: Option<&GrantId>,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM grants WHERE retiring = ? AND grant_id > ? ORDER BY grant_id LIMIT ?")
                .bind(retiring.as_str())
                .bind(after_or_start(after))
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(while_doing("listing retirable grants"))?;
        rows.iter().map(|row| self.grant(row)).collect()
    }

    async fn delete_grant(&self, id: &GrantId) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM grants WHERE grant_id = ?").bind(id.as_bytes().as_slice());
        self.change(delete, "deleting a grant").await
    }
}

impl SqliteStore {
    fn grant(&self, row: &SqliteRow) -> Result<Grant, StoreError> {
        let key_id: String = column(row, "key_id")?;
        let key_id: KeyId = key_id.parse().map_err(|error| corrupt("key id", error))?;
        let principal =
            |text: String| PrincipalArn::parse(&text).map_err(|error| corrupt("principal ARN", error));
        let name: Option<String> = column(row, "name")?;
        let issuing_account: String = column(row, "issuing_account")?;
        Ok(Grant {
            id: grant_id(column(row, "grant_id")?)?,
            resource: self.realm.key_arn(key_id).as_str().into(),
            name: name.map(Into::into),
            terms: GrantTerms {
                grantee: principal(column(row, "grantee")?)?,
                retiring: column::<Option<String>>(row, "retiring")?.map(principal).transpose()?,
                operations: operations(&column::<String>(row, "operations")?)?,
                constraint: constraint(row)?,
            },
            issuing_account: issuing_account.into(),
            created_at: time_column(row, "created_at_ms")?,
        })
    }
}

fn grant_id(bytes: Vec<u8>) -> Result<GrantId, StoreError> {
    let bytes: [u8; 32] =
        bytes.try_into().map_err(|bytes: Vec<u8>| corrupt("grant id", format!("{} bytes", bytes.len())))?;
    Ok(GrantId::from_bytes(bytes))
}

fn operations(names: &str) -> Result<GrantOperations, StoreError> {
    names
        .split(',')
        .map(|name| GrantOperation::from_name(name).ok_or_else(|| corrupt("grant operation", name)))
        .collect()
}

fn constraint(row: &SqliteRow) -> Result<Option<GrantConstraint>, StoreError> {
    let kind: Option<String> = column(row, "constraint_type")?;
    let context: Option<String> = column(row, "constraint_context")?;
    let (Some(kind), Some(context)) = (kind, context) else { return Ok(None) };
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(&context).map_err(|error| corrupt("grant constraint", error))?;
    let context = EncryptionContext::new(pairs).map_err(|error| corrupt("grant constraint", error))?;
    match kind.as_str() {
        "EncryptionContextEquals" => Ok(Some(GrantConstraint::EncryptionContextEquals(context))),
        "EncryptionContextSubset" => Ok(Some(GrantConstraint::EncryptionContextSubset(context))),
        _ => Err(corrupt("grant constraint type", kind)),
    }
}

/// Every id is longer than nothing, so behind it the list starts.
fn after_or_start(after: Option<&GrantId>) -> Vec<u8> {
    after.map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}
