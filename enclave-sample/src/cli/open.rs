//! `enclave-sample open`

use std::path::{Path, PathBuf};

use clap::Args;
use enclave_sample::client::{BrokerClient, Decrypt};
use enclave_sample::envelope::{Overwrite, SealedFile};

use super::failure::Failure;
use super::progress::Progress;
use super::seal::{SEALED_SUFFIX, bytes_of};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The file to open
    file: PathBuf,

    /// The opened file [default: FILE without .sealed]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// The key it must be sealed under [default: the one that the file names]
    #[arg(long)]
    key_id: Option<String>,

    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(client: &BrokerClient, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { file, output, key_id, force } = arguments;
    let output = match output {
        Some(output) => output,
        None => without_suffix(&file)?,
    };
    let overwrite = if force { Overwrite::Replace } else { Overwrite::Refuse };

    let sealed = SealedFile::read(&file)?;
    let header = sealed.header();
    let request = Decrypt {
        key_id: Some(key_id.unwrap_or_else(|| header.key_id().to_owned())),
        encryption_context: header.encryption_context().clone(),
        ..Decrypt::blob(header.ciphertext_blob())
    };
    let data_key = client.decrypt(&request).await?;
    // Header and tags are a small part of the file.
    let mut progress = Progress::new("opening", bytes_of(&file));
    sealed.open_to(&output, overwrite, &data_key.plaintext, &mut |done| progress.show(done))?;
    drop(progress);
    eprintln!("opened {} with {}", output.display(), data_key.key_id);
    Ok(())
}

fn without_suffix(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| name.strip_suffix(SEALED_SUFFIX)).filter(|name| !name.is_empty()) {
        Some(name) => Ok(file.with_file_name(name)),
        None => Err(Failure::usage(format!(
            "{} does not end in {SEALED_SUFFIX}: name the opened file with --output",
            file.display()
        ))),
    }
}
