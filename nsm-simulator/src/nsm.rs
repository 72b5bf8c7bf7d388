//! Requests and responses: CBOR as aws-nitro-enclaves-nsm-api writes and reads it.
//!
//! ```text
//! request  = "DescribeNSM" / "GetRandom" / { name: { field: value, … } }
//! response = "LockPCR" / "LockPCRs" / { name: { field: value, … } } / { "Error": code }
//! ```

use std::convert::Infallible;

use aws_lc_rs::rand;
use enclave_sample::nsm::simulated::{Pcr, SimulatedNsm};
use enclave_sample::nsm::{AttestationRequest, Nsm as _, NsmError};
use minicbor::{Decoder, Encoder};
use thiserror::Error;

use crate::registers::{REGISTER_COUNT, RegisterError, Registers};

/// Bytes of entropy in a response, as many as hardware gives.
const RANDOM_BYTES: usize = 256;

/// Longest data for a register: what fits into a request.
const MAX_EXTEND_BYTES: usize = 4096;

/// The registers, and what signs documents over them.
pub struct SimulatedModule {
    registers: Registers,
    signer: SimulatedNsm,
}

/// A request, borrowed from its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'r> {
    /// Value and lock of a register.
    DescribePcr {
        /// Which.
        index: u16,
    },
    /// Extend a register.
    ExtendPcr {
        /// Which.
        index: u16,
        /// By what.
        data: &'r [u8],
    },
    /// Lock a register.
    LockPcr {
        /// Which.
        index: u16,
    },
    /// Lock the first registers.
    LockPcrs {
        /// How many.
        range: u16,
    },
    /// What the module is.
    DescribeNsm,
    /// A document.
    Attestation(AttestationRequest<'r>),
    /// Entropy.
    GetRandom,
}

/// The codes of an NSM; those that this one gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ErrorCode {
    /// The request's fields are not those of its name.
    #[error("InvalidArgument")]
    InvalidArgument,
    /// There is no such register.
    #[error("InvalidIndex")]
    InvalidIndex,
    /// The register is locked.
    #[error("ReadOnlyIndex")]
    ReadOnlyIndex,
    /// There is no such request.
    #[error("InvalidOperation")]
    InvalidOperation,
    /// A field is too long.
    #[error("InputTooLarge")]
    InputTooLarge,
    /// The simulator failed.
    #[error("InternalError")]
    InternalError,
}

impl SimulatedModule {
    /// A module whose registers are those that `signer` claims.
    pub fn new(signer: SimulatedNsm) -> Self {
        Self { registers: Registers::at_launch(&signer.enclave().measurements()), signer }
    }

    /// The response to an encoded request.
    pub fn respond(&mut self, request: &[u8]) -> Vec<u8> {
        let response = Request::parse(request).and_then(|request| self.answer(request));
        response
            .unwrap_or_else(|code| encode(|cbor| cbor.map(1)?.str("Error")?.str(&code.to_string()).map(drop)))
    }

    fn answer(&mut self, request: Request<'_>) -> Result<Vec<u8>, ErrorCode> {
        match request {
            Request::DescribePcr { index } => {
                let (value, is_locked) = self.registers.describe(index)?;
                Ok(encode(|cbor| {
                    cbor.map(1)?.str("DescribePCR")?.map(2)?;
                    cbor.str("lock")?.bool(is_locked)?.str("data")?.bytes(value).map(drop)
                }))
            }
            Request::ExtendPcr { index, data } => {
                if data.len() > MAX_EXTEND_BYTES {
                    return Err(ErrorCode::InputTooLarge);
                }
                let value = self.registers.extend(index, data)?;
                Ok(encode(|cbor| cbor.map(1)?.str("ExtendPCR")?.map(1)?.str("data")?.bytes(&value).map(drop)))
            }
            Request::LockPcr { index } => {
                self.registers.lock(index)?;
                Ok(encode(|cbor| cbor.str("LockPCR").map(drop)))
            }
            Request::LockPcrs { range } => {
                self.registers.lock_below(range)?;
                Ok(encode(|cbor| cbor.str("LockPCRs").map(drop)))
            }
            Request::DescribeNsm => Ok(self.describe()),
            Request::Attestation(request) => self.attest(&request),
            Request::GetRandom => {
                let mut random = [0; RANDOM_BYTES];
                rand::fill(&mut random).map_err(|_| ErrorCode::InternalError)?;
                Ok(encode(|cbor| {
                    cbor.map(1)?.str("GetRandom")?.map(1)?.str("random")?.bytes(&random).map(drop)
                }))
            }
        }
    }

    fn describe(&self) -> Vec<u8> {
        let locked: Vec<u8> = self.registers.locked().map(|(index, _)| index).collect();
        encode(|cbor| {
            cbor.map(1)?.str("DescribeNSM")?.map(7)?;
            cbor.str("version_major")?.u8(1)?.str("version_minor")?.u8(0)?.str("version_patch")?.u8(0)?;
            cbor.str("module_id")?.str(&self.signer.enclave().module_id())?;
            cbor.str("max_pcrs")?.u8(REGISTER_COUNT)?;
            cbor.str("locked_pcrs")?.array(locked.len() as u64)?;
            locked.iter().try_for_each(|index| cbor.u8(*index).map(drop))?;
            cbor.str("digest")?.str("SHA384").map(drop)
        })
    }

    fn attest(&mut self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, ErrorCode> {
        let locked: Vec<(u8, Pcr)> = self.registers.locked().map(|(index, value)| (index, *value)).collect();
        for (index, value) in locked {
            self.signer.set_pcr(index, value).map_err(|_| ErrorCode::InternalError)?;
        }
        let document = self.signer.attestation_document(request).map_err(|error| match error {
            NsmError::FieldTooLong { .. } => ErrorCode::InputTooLarge,
            _ => ErrorCode::InternalError,
        })?;
        Ok(encode(|cbor| {
            cbor.map(1)?.str("Attestation")?.map(1)?.str("document")?.bytes(&document).map(drop)
        }))
    }
}

impl From<RegisterError> for ErrorCode {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::NoSuchRegister => Self::InvalidIndex,
            RegisterError::Locked => Self::ReadOnlyIndex,
        }
    }
}

impl<'r> Request<'r> {
    /// Reads the whole input as one request.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidOperation`] when it names no request, [`ErrorCode::InvalidArgument`] when its fields are others.
    pub fn parse(encoded: &'r [u8]) -> Result<Self, ErrorCode> {
        let mut cbor = Decoder::new(encoded);
        let request = Self::read(&mut cbor)?;
        if cbor.position() == encoded.len() { Ok(request) } else { Err(ErrorCode::InvalidArgument) }
    }

    fn read(cbor: &mut Decoder<'r>) -> Result<Self, ErrorCode> {
        if let Ok(name) = cbor.probe().str() {
            cbor.skip().map_err(|_| ErrorCode::InvalidArgument)?;
            return match name {
                "DescribeNSM" => Ok(Self::DescribeNsm),
                "GetRandom" => Ok(Self::GetRandom),
                _ => Err(ErrorCode::InvalidOperation),
            };
        }
        let (Ok(Some(1)), Ok(name)) = (cbor.map(), cbor.str()) else {
            return Err(ErrorCode::InvalidOperation);
        };
        let names: &[&str] = match name {
            "DescribePCR" | "LockPCR" => &["index"],
            "ExtendPCR" => &["index", "data"],
            "LockPCRs" => &["range"],
            "Attestation" => &["user_data", "nonce", "public_key"],
            _ => return Err(ErrorCode::InvalidOperation),
        };
        let fields = Fields::read(cbor, names).ok_or(ErrorCode::InvalidArgument)?;
        let read = || {
            Some(match name {
                "DescribePCR" => Self::DescribePcr { index: fields.number("index")? },
                "LockPCR" => Self::LockPcr { index: fields.number("index")? },
                "ExtendPCR" => {
                    Self::ExtendPcr { index: fields.number("index")?, data: fields.bytes("data")?? }
                }
                "LockPCRs" => Self::LockPcrs { range: fields.number("range")? },
                _ => Self::Attestation(AttestationRequest {
                    user_data: fields.bytes("user_data")?,
                    nonce: fields.bytes("nonce")?,
                    public_key: fields.bytes("public_key")?,
                }),
            })
        };
        read().ok_or(ErrorCode::InvalidArgument)
    }
}

/// The fields of a request: each name once, in any order.
struct Fields<'r>(Vec<(&'r str, Field<'r>)>);

#[derive(Clone, Copy)]
enum Field<'r> {
    Number(u16),
    Bytes(&'r [u8]),
    Null,
}

impl<'r> Fields<'r> {
    /// Reads a map of these names and no others.
    fn read(cbor: &mut Decoder<'r>, names: &[&str]) -> Option<Self> {
        let length = cbor.map().ok()??;
        if length != names.len() as u64 {
            return None;
        }
        let mut fields = Vec::with_capacity(names.len());
        for _ in names {
            let name = cbor.str().ok()?;
            let field = if let Ok(number) = cbor.probe().u16() {
                cbor.skip().ok()?;
                Field::Number(number)
            } else if cbor.probe().null().is_ok() {
                cbor.skip().ok()?;
                Field::Null
            } else {
                Field::Bytes(cbor.bytes().ok()?)
            };
            fields.push((name, field));
        }
        let is_complete = names.iter().all(|name| fields.iter().any(|(found, _)| found == name));
        is_complete.then_some(Self(fields))
    }

    fn get(&self, name: &str) -> Option<Field<'r>> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, field)| *field)
    }

    fn number(&self, name: &str) -> Option<u16> {
        match self.get(name)? {
            Field::Number(number) => Some(number),
            Field::Bytes(_) | Field::Null => None,
        }
    }

    /// Bytes, or null.
    fn bytes(&self, name: &str) -> Option<Option<&'r [u8]>> {
        match self.get(name)? {
            Field::Bytes(bytes) => Some(Some(bytes)),
            Field::Null => Some(None),
            Field::Number(_) => None,
        }
    }
}

type Written = Result<(), minicbor::encode::Error<Infallible>>;

fn encode(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut cbor = Encoder::new(Vec::new());
    match write(&mut cbor) {
        Ok(()) => cbor.into_writer(),
        // Writing to memory fails never.
        Err(_) => Vec::new(),
    }
}
