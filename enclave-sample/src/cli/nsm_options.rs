//! Options that choose the NSM.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use enclave_sample::nsm::Nsm;
use enclave_sample::nsm::device::{DEFAULT_DEVICE_PATH, NsmDevice};
use enclave_sample::nsm::simulated::{
    DevelopmentRoot, MAX_PCR_INDEX, PCR_BYTES, Pcr, SimulatedClock, SimulatedEnclave, SimulatedNsm,
};

use super::failure::Failure;

#[derive(Args, Debug)]
#[command(next_help_heading = "Attestation")]
pub(super) struct NsmOptions {
    /// The Nitro Secure Module's device [default: /dev/nsm]
    #[arg(long, global = true, value_name = "DEVICE", env = "ENCLAVE_SAMPLE_NSM")]
    nsm: Option<PathBuf>,

    /// Development only: sign documents with the development root in DIR instead of asking a device
    #[arg(long, global = true, value_name = "DIR", env = "ENCLAVE_SAMPLE_SIMULATED_NSM")]
    simulated_nsm: Option<PathBuf>,

    /// Simulated NSM: claim this value, 96 hex digits, in register N; repeatable
    #[arg(long = "pcr", global = true, value_name = "N=HEX", value_parser = parse_pcr, env = "ENCLAVE_SAMPLE_SIMULATED_PCRS", value_delimiter = ',')]
    pcrs: Vec<(u8, Pcr)>,

    /// Simulated NSM: claim an enclave in debug mode, whose PCR0, PCR1 and PCR2 are zero
    #[arg(long, global = true)]
    debug_enclave: bool,

    /// Simulated NSM: claim to run on this parent instance, which determines PCR4
    #[arg(long, global = true, value_name = "ID")]
    instance_id: Option<String>,

    /// Simulated NSM: make documents that are this old
    #[arg(long, global = true, value_name = "SECONDS")]
    document_age: Option<u64>,
}

impl NsmOptions {
    /// The chosen NSM.
    pub(super) fn open(&self) -> Result<Box<dyn Nsm>, Failure> {
        match (&self.nsm, &self.simulated_nsm) {
            (Some(_), Some(_)) => {
                Err(Failure::usage("--nsm and --simulated-nsm contradict each other: there is one NSM"))
            }
            (None, Some(directory)) => Ok(Box::new(self.open_simulated(directory)?)),
            (device, None) => {
                self.refuse_simulation_options()?;
                let device = device.as_deref().unwrap_or(Path::new(DEFAULT_DEVICE_PATH));
                Ok(Box::new(NsmDevice::open(device)?))
            }
        }
    }

    /// Whether documents come from a simulated NSM.
    pub(super) fn is_simulated(&self) -> bool {
        self.simulated_nsm.is_some()
    }

    fn open_simulated(&self, directory: &Path) -> Result<SimulatedNsm, Failure> {
        let root = DevelopmentRoot::load(directory)?;
        let mut enclave = SimulatedEnclave { debug: self.debug_enclave, ..SimulatedEnclave::default() };
        if let Some(instance_id) = &self.instance_id {
            enclave.instance_id.clone_from(instance_id);
        }
        let pcrs: BTreeMap<u8, Pcr> = self.pcrs.iter().copied().collect();
        if pcrs.len() != self.pcrs.len() {
            return Err(Failure::usage("--pcr names a register twice"));
        }
        enclave.pcrs = pcrs;
        let clock = match self.document_age {
            None => SimulatedClock::System,
            Some(age) => SimulatedClock::Behind(Duration::from_secs(age)),
        };
        let nsm = SimulatedNsm::new(Arc::new(root), enclave, clock)?;
        eprintln!("warning: SIMULATED NSM: its documents prove nothing, use it for development only");
        Ok(nsm)
    }

    fn refuse_simulation_options(&self) -> Result<(), Failure> {
        let Self { nsm: _, simulated_nsm: _, pcrs, debug_enclave, instance_id, document_age } = self;
        let given = [
            ("--pcr", !pcrs.is_empty()),
            ("--debug-enclave", *debug_enclave),
            ("--instance-id", instance_id.is_some()),
            ("--document-age", document_age.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(Failure::usage(format!("{option} needs --simulated-nsm DIR"))
                .with_hint("a real NSM measures, it does not take claims")),
            None => Ok(()),
        }
    }
}

fn parse_pcr(text: &str) -> Result<(u8, Pcr), String> {
    let (index, value) = text.split_once('=').ok_or("expected N=HEX, such as 0=4b4d…")?;
    let index = index
        .parse()
        .ok()
        .filter(|index| *index <= MAX_PCR_INDEX)
        .ok_or_else(|| format!("{index:?} is not a register from 0 to {MAX_PCR_INDEX}"))?;
    let bytes = hex::decode(value).map_err(|_| "the value is not hexadecimal".to_owned())?;
    let value = bytes.try_into().map_err(|bytes: Vec<u8>| {
        format!("the value has {} hex digits, a register has {}", bytes.len() * 2, PCR_BYTES * 2)
    })?;
    Ok((index, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_parse_or_say_why_not() {
        assert_eq!(parse_pcr(&format!("31={}", "ab".repeat(48))), Ok((31, [0xab; 48])));
        for (text, reason) in [
            ("0", "expected N=HEX, such as 0=4b4d…"),
            ("32=00", "\"32\" is not a register from 0 to 31"),
            ("x=00", "\"x\" is not a register from 0 to 31"),
            ("0=zz", "the value is not hexadecimal"),
            ("0=0011", "the value has 4 hex digits, a register has 96"),
        ] {
            assert_eq!(parse_pcr(text), Err(reason.to_owned()));
        }
    }
}
