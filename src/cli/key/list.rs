use clap::Args;
use serde_json::json;

use super::ListedKey;
use crate::cli::data_dir::DataDir;
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::store::{KeyStore, Store};

/// Keys read at a time.
const PAGE: u32 = 500;

/// List all keys: id, state, spec, usage, aliases, description.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Print a JSON object with the metadata of each key.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = data_dir.open_store().await?;
        let realm = store.realm().await.map_err(CliError::failed)?;
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = store.list_keys(after, PAGE).await.map_err(CliError::failed)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.id);
            for entry in page {
                if self.json {
                    all.push(ListedKey::of(&entry, &realm));
                } else {
                    let aliases = entry.aliases.join(",");
                    let aliases = if aliases.is_empty() { "-" } else { &aliases };
                    let line = format!(
                        "{}  {:<15} {:<21} {:<19} {aliases}  {}",
                        entry.key.id,
                        entry.key.state.name(),
                        entry.key.spec.name(),
                        entry.key.usage.name(),
                        entry.key.description.escape_debug()
                    );
                    print_line(line.trim_end())?;
                }
            }
        }
        if self.json { print_json(&json!({ "Keys": all })) } else { Ok(()) }
    }
}
