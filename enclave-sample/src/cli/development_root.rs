//! `enclave-sample development-root`

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use enclave_sample::nsm::simulated::{DevelopmentRoot, ROOT_CERTIFICATE_FILE};

use super::failure::Failure;

/// A simulated chain begins days before its document, and its root should not be younger.
const BACKDATED: Duration = Duration::from_hours(30 * 24);

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The directory for root.pem and root.key.pem; nothing in it is overwritten
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { directory } = arguments;
    let valid_from = SystemTime::now()
        .checked_sub(BACKDATED)
        .ok_or_else(|| Failure::failed("the clock shows a time before 1970"))?;
    DevelopmentRoot::generate(valid_from)?.save(directory)?;
    let certificate = directory.join(ROOT_CERTIFICATE_FILE);
    eprintln!("made a development root; a broker trusts it only when told so: {}", certificate.display());
    eprintln!("warning: whoever reads its key can claim any measurement");
    Ok(())
}
