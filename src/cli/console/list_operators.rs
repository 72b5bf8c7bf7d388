use clap::Args;
use serde_json::{Value, json};

use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::store::OperatorStore;

/// List who may sign in to the console.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let operators = data_dir.open_store().await?.list_operators().await.map_err(CliError::failed)?;
        if self.json {
            let list: Vec<Value> = operators
                .iter()
                .map(|operator| json!({"name": operator.name.as_str(), "createdAt": operator.created_at.to_string()}))
                .collect();
            return print_json(&list);
        }
        operators
            .iter()
            .try_for_each(|operator| print_line(&format!("{} {}", operator.created_at, operator.name)))
    }
}
