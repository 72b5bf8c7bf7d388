use std::path::PathBuf;

use clap::Args;

use super::Named;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::policy::read_identity_policy;
use crate::store::IdentityPolicyStore;

/// Attach a policy to a user or role, in place of one of the same name.
///
/// A policy that is not understood completely is refused; what it says of other services than KMS is taken and has no
/// effect. Sessions have the policies of their role. A running broker follows the new one from the next request on.
#[derive(Debug, Args)]
pub(in crate::cli) struct Put {
    #[command(flatten)]
    named: Named,

    /// A file of IAM JSON, or - for standard input.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
}

impl Put {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let (holder, name) = self.named.parse()?;
        let policy = read_identity_policy(&self.policy)?;
        let store = data_dir.open_store().await?;
        store.put_identity_policy(&holder, &name, &policy).await.map_err(CliError::failed)
    }
}
