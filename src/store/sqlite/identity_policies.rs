use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;

use super::row::column;
use super::{SqliteStore, corrupt, while_doing};
use crate::policy::{AttachedPolicy, IdentityPolicy, PolicyHolder, PolicyName};
use crate::store::{IdentityPolicyStore, MAX_ATTACHED_POLICIES, StoreError};

#[async_trait]
impl IdentityPolicyStore for SqliteStore {
    async fn put_identity_policy(
        &self,
        holder: &PolicyHolder,
        name: &PolicyName,
        policy: &IdentityPolicy,
    ) -> Result<(), StoreError> {
        let doing = while_doing("attaching a policy");
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(doing)?;
        sqlx::query(
            "INSERT INTO identity_policies (principal_arn, name, policy) VALUES (?, ?, ?) \
             ON CONFLICT (principal_arn, name) DO UPDATE SET policy = excluded.policy",
        )
        .bind(holder.as_str())
        .bind(name.as_str())
        .bind(policy.text())
        .execute(&mut *transaction)
        .await
        .map_err(doing)?;
        let attached: i64 =
            sqlx::query_scalar("SELECT count(*) FROM identity_policies WHERE principal_arn = ?")
                .bind(holder.as_str())
                .fetch_one(&mut *transaction)
                .await
                .map_err(doing)?;
        if usize::try_from(attached).unwrap_or(usize::MAX) > MAX_ATTACHED_POLICIES {
            return Err(StoreError::TooManyPolicies(holder.clone()));
        }
        transaction.commit().await.map_err(doing)?;
        self.let_readers_notice().await;
        Ok(())
    }

    async fn delete_identity_policy(
        &self,
        holder: &PolicyHolder,
        name: &PolicyName,
    ) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM identity_policies WHERE principal_arn = ? AND name = ?")
            .bind(holder.as_str())
            .bind(name.as_str());
        self.change(delete, "detaching a policy").await
    }

    async fn identity_policies(&self, holder: &PolicyHolder) -> Result<Arc<[AttachedPolicy]>, StoreError> {
        if let Some(found) = self.cached(|cache| cache.identity_policies.get(holder).cloned()) {
            return Ok(found);
        }
        let mut observer = self.observer.lock().await;
        // Whoever held the observer meanwhile looked for this reader, too.
        if let Some(found) = self.cached(|cache| cache.identity_policies.get(holder).cloned()) {
            return Ok(found);
        }
        let seen = self.refresh_cache(&mut observer).await?;
        if let Some(found) = self.with_cache(|cache| cache.identity_policies.get(holder).cloned()) {
            return Ok(found);
        }
        let found: Arc<[AttachedPolicy]> = read(&mut observer, holder).await?.into();
        self.with_cache(|cache| {
            if cache.seen == seen {
                // Also that there are none, which is the rule.
                cache.identity_policies.remember(holder.clone(), Arc::clone(&found));
            }
        });
        Ok(found)
    }
}

async fn read(
    observer: &mut PoolConnection<Sqlite>,
    holder: &PolicyHolder,
) -> Result<Vec<AttachedPolicy>, StoreError> {
    let rows =
        sqlx::query("SELECT name, policy FROM identity_policies WHERE principal_arn = ? ORDER BY name")
            .bind(holder.as_str())
            .fetch_all(&mut **observer)
            .await
            .map_err(while_doing("reading identity policies"))?;
    rows.iter().map(attached_policy).collect()
}

fn attached_policy(row: &SqliteRow) -> Result<AttachedPolicy, StoreError> {
    let (name, policy): (String, String) = (column(row, "name")?, column(row, "policy")?);
    Ok(AttachedPolicy {
        name: PolicyName::parse(&name).map_err(|error| corrupt("policy name", error))?,
        policy: IdentityPolicy::parse(&policy).map_err(|error| corrupt("identity policy", error))?,
    })
}
