use clap::Args;

use super::ListedKey;
use crate::cli::data_dir::{DataDir, find_key};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::store::Store;

/// Show one key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Describe {
    /// Key id, key ARN, alias/NAME or alias ARN.
    #[arg(value_name = "KEY")]
    key: String,

    /// Print the key's metadata as JSON.
    #[arg(long)]
    json: bool,
}

impl Describe {
    pub(in crate::cli) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let store = data_dir.open_store().await?;
        let entry = find_key(&store, &self.key).await?;
        let realm = store.realm().await.map_err(CliError::failed)?;
        let listed = ListedKey::of(&entry, &realm);
        if self.json {
            return print_json(&listed);
        }
        let ListedKey { metadata, aliases, tags } = listed;
        let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let algorithms = [
            metadata.encryption_algorithms,
            metadata.signing_algorithms,
            metadata.key_agreement_algorithms,
            metadata.mac_algorithms,
        ]
        .concat();
        let rows = [
            ("ARN", metadata.arn),
            ("State", metadata.key_state.to_owned()),
            ("Created", metadata.creation_date),
            ("Spec", format!("{}, {}", metadata.key_spec, metadata.key_usage)),
            ("Algorithms", algorithms.join(", ")),
            ("Aliases", aliases.join(", ")),
            ("Tags", tags.join(", ")),
            ("Description", metadata.description.escape_debug().to_string()),
            ("Material", metadata.current_key_material_id.unwrap_or_default()),
        ];
        for (name, value) in rows {
            print_line(format!("{name:<12} {value}").trim_end())?;
        }
        Ok(())
    }
}
