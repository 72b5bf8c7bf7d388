use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::error::CliError;
use super::output::{print_json, print_line};
use crate::eif::{self, Image, ImageSignature, Measurements};

/// Look into enclave image files (EIF).
#[derive(Debug, Subcommand)]
pub(super) enum EifCommand {
    Measure(Measure),
}

impl EifCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Measure(command) => command.run(),
        }
    }
}

/// Compute what hardware measures of an image: PCR0, PCR1, PCR2 and, when it is signed, PCR8.
///
/// Exit status 0 only for an image that is consistent and, if signed, whose signature is over this very image; 1 when
/// it is not; 2 when the command line is wrong or the file cannot be read.
#[derive(Debug, Args)]
pub(super) struct Measure {
    /// The image, as `nitro-cli build-enclave` writes it, or - for standard input.
    #[arg(value_name = "FILE")]
    image: PathBuf,

    /// Print JSON, with the names of `nitro-cli describe-eif`.
    #[arg(long)]
    json: bool,
}

impl Measure {
    fn run(self) -> Result<(), CliError> {
        let image = read(&self.image)?;
        if self.json { print_json(&report(&image)) } else { print(&image) }
    }
}

/// Read at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Reads an image in a file, or on standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Image, CliError> {
    read_from(open(path)?, path)
}

/// Opens a file, or standard input for `-`.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, CliError> {
    Ok(match path.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(File::open(path).map_err(|error| unreadable(path, &error))?),
    })
}

/// Reads an image to the end; `path` is for messages.
pub(super) fn read_from(mut input: impl Read, path: &Path) -> Result<Image, CliError> {
    let refused = |error| CliError::failed(format!("{} is no consistent image: {error}", path.display()));
    let mut reader = eif::Reader::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match input.read(&mut piece) {
            Ok(0) => return reader.finish().map_err(refused),
            Ok(len) => reader.update(piece.get(..len).unwrap_or_default()).map_err(refused)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("{}: {error}", path.display()))
}

fn print(image: &Image) -> Result<(), CliError> {
    let Image { header, sections, measurements, signature } = image;
    print_line(&format!(
        "EIF version {}, {}, by default {} CPUs and {} bytes of memory",
        header.version, header.architecture, header.default_cpus, header.default_memory
    ))?;
    for section in sections {
        print_line(&format!("{:<10} {:>12} bytes", section.kind.to_string(), section.len))?;
    }
    if let Some(ImageSignature { certificate: _, summary }) = signature {
        let (subject, validity) = (&summary.subject, summary.validity);
        print_line(&format!("signed by {subject}, {} to {}", validity.not_before, validity.not_after))?;
    }
    print_line("")?;
    registers(measurements).try_for_each(|(name, value)| print_line(&format!("{name} {value}")))
}

/// The members that `nitro-cli describe-eif` has, too, have its names and forms.
fn report(image: &Image) -> Value {
    let Image { header, sections, measurements, signature } = image;
    let mut pcrs = serde_json::Map::from_iter([("HashAlgorithm".to_owned(), json!("Sha384 { ... }"))]);
    pcrs.extend(registers(measurements).map(|(name, value)| (name.to_owned(), json!(value))));
    json!({
        "EifVersion": header.version,
        "Measurements": pcrs,
        "IsSigned": signature.is_some(),
        "CheckCRC": true,
        "Architecture": header.architecture.to_string(),
        "DefaultCpus": header.default_cpus,
        "DefaultMemoryBytes": header.default_memory,
        "Sections": sections.iter()
            .map(|section| json!({"Type": section.kind.to_string(), "Bytes": section.len}))
            .collect::<Vec<_>>(),
        "SigningCertificate": signature.as_ref().map(|ImageSignature { certificate: _, summary }| json!({
            "Subject": summary.subject,
            "NotBefore": summary.validity.not_before.to_string(),
            "NotAfter": summary.validity.not_after.to_string(),
            "Sha256": hex::encode(summary.sha256),
        })),
    })
}

fn registers(measurements: &Measurements) -> impl Iterator<Item = (&'static str, String)> {
    let Measurements { pcr0, pcr1, pcr2, pcr8 } = measurements;
    let registers =
        [("PCR0", Some(pcr0)), ("PCR1", Some(pcr1)), ("PCR2", Some(pcr2)), ("PCR8", pcr8.as_ref())];
    registers.into_iter().filter_map(|(name, value)| Some((name, hex::encode(value?))))
}
