//! `enclave-sample seal`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use enclave_sample::client::{BrokerClient, EncryptionContext, GenerateDataKey};
use enclave_sample::envelope::{Overwrite, seal_file};

use super::failure::Failure;
use super::parameters::{ContextArgument, parse_context};
use super::progress::Progress;

/// What a sealed file's name ends in unless said otherwise.
pub(super) const SEALED_SUFFIX: &str = ".sealed";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The file to seal
    file: PathBuf,

    /// The sealed file [default: FILE.sealed]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// The key to seal under: key id, key ARN, alias/NAME or alias ARN
    #[arg(long)]
    key_id: String,

    /// Pairs to bind the file to, besides purpose=enclave-sample file: k=v,k2=v2 or a JSON object. They are stored in
    /// the sealed file, readable
    #[arg(long, value_name = "PAIRS", value_parser = parse_context)]
    encryption_context: Option<ContextArgument>,

    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(client: &BrokerClient, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { file, output, key_id, encryption_context, force } = arguments;
    let output = output.unwrap_or_else(|| {
        let mut name = file.clone().into_os_string();
        name.push(SEALED_SUFFIX);
        PathBuf::from(name)
    });
    let overwrite = if force { Overwrite::Replace } else { Overwrite::Refuse };

    let mut context = EncryptionContext::from([("purpose".to_owned(), "enclave-sample file".to_owned())]);
    context.extend(encryption_context.unwrap_or_default().0);
    let request = GenerateDataKey { encryption_context: context, ..GenerateDataKey::aes_256(key_id) };
    let data_key = client.generate_data_key(&request).await?;
    let mut progress = Progress::new("sealing", bytes_of(&file));
    seal_file(&file, &output, overwrite, &data_key, &request.encryption_context, &mut |done| {
        progress.show(done);
    })?;
    drop(progress);
    eprintln!("sealed {} under {}", output.display(), data_key.key_id);
    Ok(())
}

/// For show only: reading tells if it cannot be read.
pub(super) fn bytes_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}
