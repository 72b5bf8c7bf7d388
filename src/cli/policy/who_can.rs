//! `policy who-can`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::described_request::{set, set_key};
use crate::analysis::{self, AccessRow, AllowedActions, KnownParties, MAX_IMAGES, MAX_PRINCIPALS};
use crate::audit::reader::Lines;
use crate::cli::data_dir::{DataDir, find_key};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::policy::{AttachedPolicy, Caller, ConditionKey, Grant, Policies, RequestFacts};
use crate::store::{CredentialStore, GrantStore, IdentityPolicyStore, KeyEntry, SqliteStore, Store};
use crate::time::UnixTime;

/// Grants of a key that are read at a time.
const GRANTS_AT_A_TIME: u32 = 1000;

/// Say who may do what with a key, from which enclave image, and by which statement or grant.
///
/// Asked are the principals that the policy and grants name, that have credentials, and that the audit log has seen; with
/// no enclave, and with each image that the policy names or the log has seen.
#[derive(Debug, Args)]
pub(in crate::cli) struct WhoCan {
    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(value_name = "KEY")]
    key: String,

    /// The audit log, with its older files beside it, instead of that of the data directory.
    #[arg(long, value_name = "LOG")]
    audit: Option<PathBuf>,

    /// Print JSON, with what is not allowed.
    #[arg(long)]
    json: bool,
}

/// What may speak for a principal beside the key's policy.
type Own = (Arc<[AttachedPolicy]>, Arc<[Arc<Grant>]>);

impl WhoCan {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = data_dir.open_store().await?;
        let entry = find_key(&store, &self.key).await?;
        let log = self.audit.clone().unwrap_or_else(|| data_dir.audit_log());
        let parties = parties(&store, &entry, &log).await?;

        let mut own: HashMap<String, Own> = HashMap::new();
        for caller in parties.principals() {
            let Some(arn) = caller.arn() else { continue };
            let identity = match arn.policy_holder() {
                Some(holder) => store.identity_policies(holder).await.map_err(CliError::failed)?,
                None => Arc::default(),
            };
            let grants = store.grants_to(entry.key.id, arn).await.map_err(CliError::failed)?;
            own.insert(arn.to_string(), (identity, grants));
        }
        let nothing: Own = (Arc::default(), Arc::default());
        let policies_of = |caller: &Caller| {
            let (identity, grants) = own.get(&caller.to_string()).unwrap_or(&nothing);
            Policies { key: &entry.key.policy, identity, grants }
        };
        let realm = store.realm().await.map_err(CliError::failed)?;
        let arn = entry.key.arn.as_str();
        let mut question = RequestFacts::new(Caller::Anonymous, "kms:Decrypt", arn, UnixTime::now())
            .map_err(CliError::failed)?;
        set_key(&mut question, &entry, &realm)?;
        set(&mut question, ConditionKey::SecureTransport, &["true"])?;
        let access = analysis::access(&question, &parties, policies_of).map_err(CliError::failed)?;
        if self.json {
            return print_json(&access);
        }
        print_line(&format!("key {arn}"))?;
        access.rows.iter().try_for_each(print_row)?;
        if access.is_bounded {
            print_line(&format!(
                "\nNOT COMPLETE: no more than {MAX_PRINCIPALS} principals and {MAX_IMAGES} images are asked about"
            ))?;
        }
        Ok(())
    }
}

/// Everyone and everything that is known to have to do with the key.
async fn parties(
    store: &SqliteStore,
    entry: &KeyEntry,
    log: &std::path::Path,
) -> Result<KnownParties, CliError> {
    let mut parties = KnownParties::default();
    parties.add_policy(&entry.key.policy);
    let with_credentials = u32::try_from(MAX_PRINCIPALS).unwrap_or(u32::MAX).saturating_add(1);
    for arn in store.principals_with_credentials(with_credentials).await.map_err(CliError::failed)? {
        parties.add_principal(Caller::Principal { arn });
    }
    let mut after = None;
    loop {
        let page = store.list_grants(entry.key.id, None, after.as_ref(), GRANTS_AT_A_TIME).await;
        let page = page.map_err(CliError::failed)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for grant in &page {
            parties.add_principal(Caller::Principal { arn: grant.terms.grantee.clone() });
        }
    }
    for line in Lines::of_log(log).map_err(CliError::usage)?.records() {
        // A line that is no record names nobody.
        if let Ok(record) = line.map_err(CliError::failed)?.record {
            parties.add_record(&record, entry.key.arn.as_str());
        }
    }
    Ok(parties)
}

fn print_row(row: &AccessRow) -> Result<(), CliError> {
    let image = match &row.image {
        Some(image) => format!("image {image}"),
        None => "without attestation".to_owned(),
    };
    print_line(&format!("\n{}, {image}", row.principal))?;
    if row.allowed.is_empty() && row.conditional.is_empty() {
        return print_line("  may do nothing");
    }
    for AllowedActions { by, needs: _, actions } in &row.allowed {
        print_line(&format!("  may    {}", actions.join(", ")))?;
        print_line(&format!("         by {by}"))?;
    }
    for AllowedActions { by, needs, actions } in &row.conditional {
        print_line(&format!("  may    {}", actions.join(", ")))?;
        print_line(&format!("         by {by}, if"))?;
        needs.iter().try_for_each(|need| print_line(&format!("         - {need}")))?;
    }
    Ok(())
}
