//! `principal policy put`, `get`, `list`, `delete`.

mod delete_policy;
mod get_policy;
mod list_policies;
mod put_policy;

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::data_dir::DataDir;
use super::error::CliError;
use crate::policy::{AttachedPolicy, PolicyHolder, PolicyName};
use crate::store::IdentityPolicyStore;

/// Say what users and roles may do.
#[derive(Debug, Subcommand)]
pub(super) enum PrincipalCommand {
    /// Attach identity policies to users and roles.
    ///
    /// A key policy that names an account leaves its use to the identity policies of that account's users and roles.
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    Put(put_policy::Put),
    Get(get_policy::Get),
    List(list_policies::List),
    Delete(delete_policy::Delete),
}

impl PrincipalCommand {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let PrincipalCommand::Policy(command) = self;
        match command {
            PolicyCommand::Put(command) => command.run(data_dir).await,
            PolicyCommand::Get(command) => command.run(data_dir).await,
            PolicyCommand::List(command) => command.run(data_dir).await,
            PolicyCommand::Delete(command) => command.run(data_dir).await,
        }
    }
}

/// Whom a policy is attached to.
#[derive(Debug, Args)]
struct Holder {
    /// A user or role, such as arn:aws:iam::000000000000:role/enclave-parent.
    #[arg(value_name = "ARN")]
    principal: String,
}

/// A policy of one principal.
#[derive(Debug, Args)]
struct Named {
    #[command(flatten)]
    holder: Holder,

    /// The policy's name, one of its own for each policy of a principal.
    #[arg(value_name = "NAME")]
    name: String,
}

impl Holder {
    fn parse(&self) -> Result<PolicyHolder, CliError> {
        PolicyHolder::parse(&self.principal).map_err(CliError::usage)
    }

    async fn policies(&self, data_dir: &DataDir) -> Result<Arc<[AttachedPolicy]>, CliError> {
        let holder = self.parse()?;
        let store = data_dir.open_store().await?;
        store.identity_policies(&holder).await.map_err(CliError::failed)
    }
}

impl Named {
    fn parse(&self) -> Result<(PolicyHolder, PolicyName), CliError> {
        Ok((self.holder.parse()?, PolicyName::parse(&self.name).map_err(CliError::usage)?))
    }

    fn not_there(&self) -> CliError {
        let Self { holder: Holder { principal }, name } = self;
        CliError::failed(format!("{principal} has no policy {name:?}"))
            .hint(format!("`nitro-key-broker principal policy list {principal}` shows all"))
    }
}
