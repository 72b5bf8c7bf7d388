use clap::Args;

use super::password::read_new_password;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::crypto::PasswordHash;
use crate::store::{Operator, OperatorName, OperatorStore};
use crate::time::UnixTime;

/// Let somebody sign in to the console.
///
/// The password, at least 15 characters, is asked for at the terminal or is the first line of standard input. It is kept
/// as an Argon2id hash.
#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// By which they sign in: letters, digits and ._@-
    #[arg(value_name = "NAME", value_parser = OperatorName::parse)]
    name: OperatorName,
}

impl Add {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = data_dir.open_store().await?;
        let taken = |name: &OperatorName| {
            CliError::failed(format!("there is an operator {name} already"))
                .hint("to change a password, remove the operator and add it again")
        };
        if store.find_operator(&self.name).await.map_err(CliError::failed)?.is_some() {
            return Err(taken(&self.name));
        }
        let password = read_new_password()?;
        let operator = Operator {
            password_hash: PasswordHash::new(password.as_bytes()).map_err(CliError::failed)?,
            name: self.name,
            created_at: UnixTime::now(),
        };
        if !store.insert_operator(&operator).await.map_err(CliError::failed)? {
            return Err(taken(&operator.name));
        }
        print_line(&format!("{} may sign in to the console", operator.name))
    }
}
