//! The command line.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;
use clap::Parser;
use enclave_sample::nsm::simulated::{
    DevelopmentRoot, MAX_PCR_INDEX, PCR_BYTES, Pcr, SimulatedClock, SimulatedEnclave, SimulatedNsm,
    USUAL_PCR_COUNT,
};
use nitro_key_broker::eif;
use nsm_simulator::cuse::{self, CUSE_DEVICE};
use nsm_simulator::nsm::SimulatedModule;
use nsm_simulator::registers;

/// Serve a /dev/nsm whose documents are signed by a development root. FOR DEVELOPMENT ONLY: they prove nothing.
///
/// It needs the kernel's module `cuse` and runs until it is ended. A broker takes its documents only when it is told to
/// trust that root (`serve --trust-anchor DIR/root.pem`), and says so in every record.
#[derive(Debug, Parser)]
#[command(
    name = "nsm-simulator",
    version,
    after_help = "Exit status: 0 ended, 1 failed, 2 wrong usage. `serving /dev/NAME` is printed once the device is there."
)]
pub struct Cli {
    /// The directory of the root, as `enclave-sample development-root DIR` makes it
    #[arg(long, value_name = "DIR")]
    development_root: PathBuf,

    /// Measure this enclave image file: PCR0, PCR1, PCR2 and PCR8
    #[arg(long, value_name = "FILE", group = "source")]
    eif: Option<PathBuf>,

    /// Take the registers from JSON, as `nitro-cli describe-eif` or `nitro-key-broker eif measure --json` print it
    #[arg(long, value_name = "FILE", group = "source")]
    pcrs: Option<PathBuf>,

    /// Take the registers of this NSM, such as the one of QEMU's nitro-enclave machine, which measures and cannot sign
    #[arg(long, value_name = "DEVICE", group = "source")]
    measured_by: Option<PathBuf>,

    /// Claim this value, 96 hex digits, in register N, whatever was measured; repeatable
    #[arg(long = "pcr", value_name = "N=HEX", value_parser = parse_pcr)]
    values: Vec<(u8, Pcr)>,

    /// Claim an enclave in debug mode, whose PCR0, PCR1 and PCR2 are zero
    #[arg(long)]
    debug_enclave: bool,

    /// Claim to run on this parent instance, which determines PCR4
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,

    /// The name of the device under /dev
    #[arg(long, value_name = "NAME", default_value = "nsm")]
    device: String,
}

/// Runs the command and reports how it went.
pub fn run(cli: Cli) -> ExitCode {
    match serve(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { reason, status }) => {
            eprintln!("error: {reason}");
            ExitCode::from(status)
        }
    }
}

struct Failure {
    reason: String,
    status: u8,
}

impl Failure {
    fn failed(reason: impl Display) -> Self {
        Self { reason: reason.to_string(), status: 1 }
    }

    fn usage(reason: impl Display) -> Self {
        Self { reason: reason.to_string(), status: 2 }
    }
}

fn serve(cli: Cli) -> Result<(), Failure> {
    let root = DevelopmentRoot::load(&cli.development_root).map_err(Failure::failed)?;
    let mut enclave = SimulatedEnclave { debug: cli.debug_enclave, ..SimulatedEnclave::default() };
    if let Some(instance_id) = &cli.instance_id {
        enclave.instance_id.clone_from(instance_id);
    }
    enclave.pcrs = measured(&cli)?;
    enclave.pcrs.extend(cli.values.iter().copied());
    let signer =
        SimulatedNsm::new(Arc::new(root), enclave, SimulatedClock::System).map_err(Failure::usage)?;
    let mut cuse = OpenOptions::new().read(true).write(true).open(CUSE_DEVICE).map_err(|error| {
        Failure::failed(format!("{CUSE_DEVICE}: {error}; is the kernel's module cuse loaded?"))
    })?;

    print_banner(&signer, &cli.device);
    let mut module = SimulatedModule::new(signer);
    let device = Path::new("/dev").join(&cli.device);
    thread::spawn(move || announce(&device));
    cuse::serve(&mut cuse, &cli.device, |request| module.respond(request))
        .map_err(|error| Failure::failed(format!("{CUSE_DEVICE}: {error}")))
}

/// The registers of whatever was named.
fn measured(cli: &Cli) -> Result<BTreeMap<u8, Pcr>, Failure> {
    let in_file =
        |path: &Path, problem: &dyn Display| Failure::failed(format!("{}: {problem}", path.display()));
    if let Some(path) = &cli.eif {
        let image = File::open(path).and_then(read_image).map_err(|error| in_file(path, &error))?;
        Ok(registers::of_image(&image.measurements))
    } else if let Some(path) = &cli.pcrs {
        let text = std::fs::read_to_string(path).map_err(|error| in_file(path, &error))?;
        registers::from_json(&text).map_err(|error| in_file(path, &error))
    } else if let Some(path) = &cli.measured_by {
        read_nsm(path).map_err(|problem| in_file(path, &problem))
    } else {
        Ok(BTreeMap::new())
    }
}

fn read_image(mut file: File) -> io::Result<eif::Image> {
    const PIECE_BYTES: usize = 1024 * 1024;
    let mut reader = eif::Reader::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return reader.finish().map_err(io::Error::other),
            length => reader.update(piece.get(..length).unwrap_or_default()).map_err(io::Error::other)?,
        }
    }
}

/// The registers that another NSM measured.
fn read_nsm(path: &Path) -> Result<BTreeMap<u8, Pcr>, String> {
    let device = OpenOptions::new().read(true).write(true).open(path).map_err(|error| error.to_string())?;
    (0..USUAL_PCR_COUNT)
        .map(|index| {
            match nsm_process_request(device.as_raw_fd(), Request::DescribePCR { index: index.into() }) {
                Response::DescribePCR { data, .. } => match data.try_into() {
                    Ok(value) => Ok((index, value)),
                    Err(_) => Err(format!("PCR{index} is not of SHA-384")),
                },
                other => Err(format!("DescribePCR of PCR{index}: {other:?}")),
            }
        })
        .collect()
}

fn print_banner(signer: &SimulatedNsm, device: &str) {
    eprintln!("******************************************************************************");
    eprintln!("*  SIMULATED NSM on /dev/{device}: FOR DEVELOPMENT ONLY");
    eprintln!("*  Its documents prove nothing: whoever has the development root's key can claim");
    eprintln!("*  any measurement. Do not tell a broker with real keys to trust that root.");
    eprintln!("******************************************************************************");
    eprintln!("module {}", signer.enclave().module_id());
    for (index, value) in
        signer.enclave().measurements().iter().filter(|(_, value)| **value != [0; PCR_BYTES])
    {
        eprintln!("PCR{index:<2} {}", hex::encode(value));
    }
}

/// Opens the device to everybody, as the kernel's own driver does, once the kernel has made it; then says so.
fn announce(device: &Path) {
    const ATTEMPTS: u32 = 600;
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 0..ATTEMPTS {
        if std::fs::set_permissions(device, Permissions::from_mode(0o666)).is_ok() {
            let _ = writeln!(io::stdout(), "serving {}", device.display());
            return;
        }
        thread::sleep(PAUSE);
    }
    eprintln!("error: the kernel did not make {}", device.display());
}

fn parse_pcr(text: &str) -> Result<(u8, Pcr), String> {
    let (index, value) = text.split_once('=').ok_or("expected N=HEX, such as 0=4b4d…")?;
    let index = index.parse().ok().filter(|index| *index <= MAX_PCR_INDEX);
    let index = index.ok_or_else(|| format!("registers are 0 to {MAX_PCR_INDEX}"))?;
    let value = hex::decode(value).ok().and_then(|bytes| bytes.try_into().ok());
    Ok((index, value.ok_or_else(|| format!("a register has {} hex digits", PCR_BYTES * 2))?))
}
