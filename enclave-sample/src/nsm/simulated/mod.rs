//! A simulated Nitro Secure Module, for development and tests only.
//!
//! It signs documents of exactly the form that real hardware emits, level by level, under a [`DevelopmentRoot`] that
//! anyone who holds its key can use to claim any measurement. A document from here proves nothing; only a broker that
//! was told to trust this one root by path accepts it.

mod chain;
mod document;
mod root;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA384, digest};
use thiserror::Error;

use self::chain::CertificateChain;
pub use self::root::{DevelopmentRoot, DevelopmentRootError, ROOT_CERTIFICATE_FILE, ROOT_KEY_FILE};
use super::{AttestationRequest, Nsm, NsmError};

/// The length of a SHA-384 platform configuration register, in bytes.
pub const PCR_BYTES: usize = 48;

/// The registers every document shows, 0 to 15; real hardware adds higher ones only once an application uses them.
pub const USUAL_PCR_COUNT: u8 = 16;

/// The highest register index a document can carry (attestation process, section 3.1).
pub const MAX_PCR_INDEX: u8 = 31;

/// One platform configuration register.
pub type Pcr = [u8; PCR_BYTES];

/// The enclave that the simulated NSM claims to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEnclave {
    /// The parent's instance id, `i-` and 17 hex digits. It determines PCR4.
    pub instance_id: String,
    /// The number of the enclave on its parent; with the instance id it makes the `module_id`.
    pub enclave_number: u64,
    /// The AWS region named in the certificates.
    pub region: String,
    /// Registers whose value is not the usual one.
    pub pcrs: BTreeMap<u8, Pcr>,
    /// An enclave started in debug mode: the hardware reports zeros as PCR0, PCR1 and PCR2, whatever image runs.
    pub debug: bool,
}

impl Default for SimulatedEnclave {
    fn default() -> Self {
        Self {
            instance_id: "i-0123456789abcdef0".to_owned(),
            enclave_number: 0x0123_4567_89ab_cdef,
            region: "us-east-1".to_owned(),
            pcrs: BTreeMap::new(),
            debug: false,
        }
    }
}

impl SimulatedEnclave {
    /// The usual enclave with another value in one register.
    pub fn with_pcr(mut self, index: u8, value: Pcr) -> Self {
        self.pcrs.insert(index, value);
        self
    }

    /// The usual enclave, in debug mode.
    pub fn in_debug_mode(mut self) -> Self {
        self.debug = true;
        self
    }

    /// The identifier that a document carries as `module_id`, such as `i-0123456789abcdef0-enc0123456789abcdef`.
    pub fn module_id(&self) -> String {
        format!("{}-enc{:016x}", self.instance_id, self.enclave_number)
    }

    /// Every register the document shows, by index.
    ///
    /// PCR0–2 are digests of fixed texts, PCR4 is that of the instance id as on hardware, the others are zero, unless
    /// [`pcrs`](Self::pcrs) says otherwise; debug mode has the last word on PCR0–2.
    pub fn measurements(&self) -> BTreeMap<u8, Pcr> {
        let mut registers: BTreeMap<u8, Pcr> =
            (0..USUAL_PCR_COUNT).map(|index| (index, [0; PCR_BYTES])).collect();
        registers.insert(0, extend_zero(b"simulated enclave: image"));
        registers.insert(1, extend_zero(b"simulated enclave: kernel and boot ramdisk"));
        registers.insert(2, extend_zero(b"simulated enclave: application"));
        registers.insert(4, extend_zero(self.instance_id.as_bytes()));
        registers.extend(&self.pcrs);
        if self.debug {
            registers.extend([0, 1, 2].map(|index| (index, [0; PCR_BYTES])));
        }
        registers
    }

    fn check(&self) -> Result<(), SimulatedNsmError> {
        let is_instance_id = self.instance_id.strip_prefix("i-").is_some_and(|hex| {
            hex.len() == 17 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        if !is_instance_id {
            return Err(SimulatedNsmError::InstanceId(self.instance_id.clone()));
        }
        let is_region = (1..=32).contains(&self.region.len())
            && self.region.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-'));
        if !is_region {
            return Err(SimulatedNsmError::Region(self.region.clone()));
        }
        match self.pcrs.keys().find(|&&index| index > MAX_PCR_INDEX) {
            Some(&index) => Err(SimulatedNsmError::PcrIndex(index)),
            None => Ok(()),
        }
    }
}

/// A register that was zero and was extended once: SHA-384 of 48 zero bytes and `data`.
fn extend_zero(data: &[u8]) -> Pcr {
    let mut input = vec![0; PCR_BYTES];
    input.extend_from_slice(data);
    let mut register = [0; PCR_BYTES];
    register.copy_from_slice(digest(&SHA384, &input).as_ref());
    register
}

/// Where the simulated NSM takes its time from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulatedClock {
    /// The system's clock.
    System,
    /// The system's clock, set back: documents are this old when they are made.
    Behind(Duration),
    /// A clock that stands still.
    Fixed(SystemTime),
}

impl SimulatedClock {
    fn now(self) -> Result<SystemTime, SimulatedNsmError> {
        match self {
            Self::System => Ok(SystemTime::now()),
            Self::Behind(age) => SystemTime::now().checked_sub(age).ok_or(SimulatedNsmError::Time),
            Self::Fixed(moment) => Ok(moment),
        }
    }
}

/// A development-only NSM: it signs whatever measurements [`SimulatedEnclave`] claims.
#[derive(Debug)]
pub struct SimulatedNsm {
    root: Arc<DevelopmentRoot>,
    enclave: SimulatedEnclave,
    clock: SimulatedClock,
    // Hardware reuses its leaf for hours, and so does this.
    chain: Mutex<Option<Arc<CertificateChain>>>,
}

impl SimulatedNsm {
    /// An NSM that measures `enclave` and whose chain ends in `root`.
    ///
    /// # Errors
    /// When `enclave` names something no document can carry.
    pub fn new(
        root: Arc<DevelopmentRoot>,
        enclave: SimulatedEnclave,
        clock: SimulatedClock,
    ) -> Result<Self, SimulatedNsmError> {
        enclave.check()?;
        Ok(Self { root, enclave, clock, chain: Mutex::new(None) })
    }

    /// The enclave this NSM claims to measure.
    pub fn enclave(&self) -> &SimulatedEnclave {
        &self.enclave
    }

    /// Claims another value of one register from now on, as an enclave that extends it does.
    ///
    /// # Errors
    /// When there is no such register.
    pub fn set_pcr(&mut self, index: u8, value: Pcr) -> Result<(), SimulatedNsmError> {
        if index > MAX_PCR_INDEX {
            return Err(SimulatedNsmError::PcrIndex(index));
        }
        self.enclave.pcrs.insert(index, value);
        Ok(())
    }

    /// Makes a document at the moment this NSM's clock shows.
    ///
    /// # Errors
    /// When the moment cannot be written in a certificate, or a signature cannot be made.
    pub fn attest(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, SimulatedNsmError> {
        self.attest_at(request, self.clock.now()?)
    }

    /// Makes a document as of `at`, which has millisecond precision in the document.
    ///
    /// # Errors
    /// When the moment cannot be written in a certificate, or a signature cannot be made.
    pub fn attest_at(
        &self,
        request: &AttestationRequest<'_>,
        at: SystemTime,
    ) -> Result<Vec<u8>, SimulatedNsmError> {
        let chain = self.chain_valid_at(at)?;
        let payload = document::encode_payload(&self.enclave, &chain, request, at)?;
        document::sign(&payload, chain.leaf_key())
    }

    fn chain_valid_at(&self, at: SystemTime) -> Result<Arc<CertificateChain>, SimulatedNsmError> {
        let mut slot = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = slot.as_ref().filter(|chain| chain.serves(at)) {
            return Ok(Arc::clone(chain));
        }
        let chain = Arc::new(CertificateChain::mint(&self.root, &self.enclave, at)?);
        Ok(Arc::clone(slot.insert(chain)))
    }
}

impl Nsm for SimulatedNsm {
    fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        request.check_lengths()?;
        Ok(self.attest(request)?)
    }
}

/// Why the simulated NSM could not make a document.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimulatedNsmError {
    /// An instance id of another form.
    #[error("{0:?} is not an instance id: `i-` and 17 hex digits, such as i-0123456789abcdef0")]
    InstanceId(String),
    /// A region of another form.
    #[error("{0:?} is not a region name such as us-east-1")]
    Region(String),
    /// A register that no document can carry.
    #[error("there is no PCR{0}: the last one is PCR{MAX_PCR_INDEX}")]
    PcrIndex(u8),
    /// A moment before 1970 or past what a certificate can say.
    #[error("the document's time lies outside what certificates can express")]
    Time,
    /// A key could not be made or a certificate not signed.
    #[error("cannot mint a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The document could not be encoded.
    #[error("cannot encode the document")]
    Encode,
    /// The document could not be signed, or no random bytes could be had.
    #[error("the cryptographic module failed")]
    Cryptography,
}

impl From<aws_lc_rs::error::Unspecified> for SimulatedNsmError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Cryptography
    }
}
