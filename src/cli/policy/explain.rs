//! `policy explain`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};
use serde_json::json;

use super::described_request::DescribedRequest;
use super::evidence::{EvidenceOptions, Standing};
use super::explanation_text::print_explanation;
use super::{read_attached_policies, read_grants, read_policy};
use crate::cli::data_dir::{DataDir, find_key};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::policy::{KeyPolicy, Policies, explain_access};
use crate::store::{GrantStore, IdentityPolicyStore, KeyEntry, Store};

/// Stands below the options, of which there are too many for the longer form on one screen.
const AFTER_HELP: &str = "\
With --key, its policy, facts, grants and the principal's policies are those of the store; FILE
takes the place of the key's policy. A document that is not genuine decides nothing. Exit status
0 when allowed, 1 when denied or refused.";

/// Say what would be decided, and for every statement and grant why.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(in crate::cli) struct Explain {
    /// A key policy to ask, or - for standard input.
    #[arg(value_name = "FILE", required_unless_present = "key")]
    policy: Option<PathBuf>,

    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    evidence: EvidenceOptions,

    #[command(flatten)]
    request: DescribedRequest,

    /// An identity policy of the principal, in place of those in the store. May be repeated.
    #[arg(long, value_name = "FILE")]
    identity_policy: Vec<PathBuf>,

    /// A grant, or an array of them, as ListGrants shows them, in place of those in the store.
    #[arg(long, value_name = "FILE")]
    grant: Vec<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Print help.
    #[arg(long, short, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

impl Explain {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let tried = self.policy.as_deref().map(read_policy).transpose()?;
        let at = self.request.at();
        let evidence = self.evidence.read(at)?;
        let mut facts = self.request.facts(at)?;

        let mut identity = match self.identity_policy.as_slice() {
            [] => None,
            paths => Some(read_attached_policies(paths)?),
        };
        let mut grants = None;
        let mut entry: Option<Arc<KeyEntry>> = None;
        if let Some(key) = &self.key {
            let store = data_dir.open_store().await?;
            let found = find_key(&store, key).await?;
            self.request.set_key(&mut facts, &found, &store.realm().await.map_err(CliError::failed)?, key)?;
            if let (None, Some(holder)) = (&identity, facts.caller.arn().and_then(|arn| arn.policy_holder()))
            {
                let attached = store.identity_policies(holder).await.map_err(CliError::failed)?;
                identity = Some(attached.to_vec());
            }
            if let Some(arn) = facts.caller.arn() {
                let given = store.grants_to(found.key.id, arn).await.map_err(CliError::failed)?;
                grants = Some(given.to_vec());
            }
            entry = Some(found);
        } else {
            self.request.set_imagined_key(&mut facts)?;
        }
        if !self.grant.is_empty() {
            let read = self.grant.iter().map(|path| read_grants(path, &facts.resource));
            grants = Some(read.collect::<Result<Vec<_>, _>>()?.concat());
        }
        for (index, digits) in &evidence.pcrs {
            facts.set_pcr(*index, digits).map_err(CliError::usage)?;
        }
        self.request.set_pcrs(&mut facts)?;

        let own = entry.as_ref().map(|entry| &*entry.key.policy);
        let policy: &KeyPolicy = tried.as_ref().or(own).ok_or_else(|| CliError::usage("no policy"))?;
        let policies = Policies {
            key: policy,
            identity: identity.as_deref().unwrap_or_default(),
            grants: grants.as_deref().unwrap_or_default(),
        };
        let explanation = explain_access(&policies, &facts.inquiry());
        if self.json {
            let request: serde_json::Map<_, _> =
                facts.shown().into_iter().map(|(key, value)| (key, json!(value))).collect();
            print_json(&json!({
                "document": evidence.standing.json(),
                "request": {
                    "principal": facts.caller.to_string(),
                    "action": facts.action(),
                    "resource": facts.resource,
                    "time": facts.now.to_string(),
                    "conditionKeys": request,
                },
                "explanation": explanation,
            }))?;
        } else {
            print_line(&format!("asked     {} of {}", facts.action(), facts.resource))?;
            print_line(&format!("by        {}", facts.caller))?;
            print_line(&format!("at        {}", facts.now))?;
            print_line(&format!("document  {}", evidence.standing))?;
            for (key, value) in facts.shown().iter().filter(|(key, value)| !is_unused_register(key, value)) {
                print_line(&format!("with      {key} {value}"))?;
            }
            print_explanation(&explanation)?;
        }
        match (explanation.decision.allowed, evidence.standing) {
            (true, Standing::Unverified { .. }) => {
                Err(CliError::failed("allowed, if the document were genuine, which it is not"))
            }
            (true, Standing::None | Standing::Genuine { .. }) => Ok(()),
            (false, _) => Err(CliError::failed(format!("denied: {}", explanation.decision.because))),
        }
    }
}

/// Whether nothing was measured into a register. Those of the image are shown all the same: that is debug mode.
fn is_unused_register(key: &str, value: &str) -> bool {
    let of_image = ["PCR0", "PCR1", "PCR2"].map(|name| format!("kms:RecipientAttestation:{name}"));
    key.starts_with("kms:RecipientAttestation:PCR")
        && !of_image.contains(&key.to_owned())
        && value.trim_matches('"').bytes().all(|digit| digit == b'0')
}
