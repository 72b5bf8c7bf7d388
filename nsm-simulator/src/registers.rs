//! The platform configuration registers: where their values come from, and what an enclave may do with them.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA384};
use enclave_sample::nsm::simulated::{MAX_PCR_INDEX, PCR_BYTES, Pcr, USUAL_PCR_COUNT};
use nitro_key_broker::eif::Measurements;
use serde_json::Value;
use thiserror::Error;

/// Registers of an NSM.
pub const REGISTER_COUNT: u8 = MAX_PCR_INDEX + 1;

/// The 32 registers. Those below [`USUAL_PCR_COUNT`] are locked from the start: the enclave cannot change what was
/// measured when it was launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers([Register; REGISTER_COUNT as usize]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Register {
    value: Pcr,
    is_locked: bool,
}

/// Why a register is not read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// There is no register of this index.
    #[error("there is no register of this index")]
    NoSuchRegister,
    /// The register is locked.
    #[error("the register is locked")]
    Locked,
}

impl Registers {
    /// Registers of these values at the start of an enclave; the others are zero.
    pub fn at_launch(values: &BTreeMap<u8, Pcr>) -> Self {
        let register = |index: usize| {
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            let value = values.get(&index).copied().unwrap_or([0; PCR_BYTES]);
            Register { value, is_locked: index < USUAL_PCR_COUNT }
        };
        Self(std::array::from_fn(register))
    }

    /// Value of a register, and whether it is locked.
    ///
    /// # Errors
    /// When there is none of this index.
    pub fn describe(&self, index: u16) -> Result<(&Pcr, bool), RegisterError> {
        let register = self.0.get(usize::from(index)).ok_or(RegisterError::NoSuchRegister)?;
        Ok((&register.value, register.is_locked))
    }

    /// Extends a register: its value becomes SHA-384 of the old value and `data`.
    ///
    /// # Errors
    /// When there is none of this index, or it is locked.
    pub fn extend(&mut self, index: u16, data: &[u8]) -> Result<Pcr, RegisterError> {
        let register = self.0.get_mut(usize::from(index)).ok_or(RegisterError::NoSuchRegister)?;
        if register.is_locked {
            return Err(RegisterError::Locked);
        }
        let mut digest = Context::new(&SHA384);
        digest.update(&register.value);
        digest.update(data);
        register.value.copy_from_slice(digest.finish().as_ref());
        Ok(register.value)
    }

    /// Locks a register for good.
    ///
    /// # Errors
    /// When there is none of this index, or it is locked already.
    pub fn lock(&mut self, index: u16) -> Result<(), RegisterError> {
        let register = self.0.get_mut(usize::from(index)).ok_or(RegisterError::NoSuchRegister)?;
        if register.is_locked {
            return Err(RegisterError::Locked);
        }
        register.is_locked = true;
        Ok(())
    }

    /// Locks the registers below `range`, whether they are locked or not.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn lock_below(&mut self, range: u16) -> Result<(), RegisterError> {
        let registers = self.0.get_mut(..usize::from(range)).ok_or(RegisterError::NoSuchRegister)?;
        registers.iter_mut().for_each(|register| register.is_locked = true);
        Ok(())
    }

    /// The locked registers with their values, which are those that a document shows.
    pub fn locked(&self) -> impl Iterator<Item = (u8, &Pcr)> {
        (0..)
            .zip(&self.0)
            .filter(|(_, register)| register.is_locked)
            .map(|(index, register)| (index, &register.value))
    }
}

/// The registers that an image determines.
pub fn of_image(measurements: &Measurements) -> BTreeMap<u8, Pcr> {
    let Measurements { pcr0, pcr1, pcr2, pcr8 } = *measurements;
    let registers = [(0, Some(pcr0)), (1, Some(pcr1)), (2, Some(pcr2)), (8, pcr8)];
    registers.into_iter().filter_map(|(index, value)| Some((index, value?))).collect()
}

/// Reads registers from JSON: the output of `nitro-cli describe-eif` or `nitro-key-broker eif measure --json`, or the
/// object alone that is their member `Measurements`.
///
/// # Errors
/// When it is something else.
pub fn from_json(text: &str) -> Result<BTreeMap<u8, Pcr>, RegistersFileError> {
    let file: Value =
        serde_json::from_str(text).map_err(|error| RegistersFileError::Json(error.to_string()))?;
    let measurements = file.get("Measurements").unwrap_or(&file);
    let members = measurements.as_object().ok_or(RegistersFileError::NoRegisters)?;
    let mut registers = BTreeMap::new();
    for (name, value) in members.iter().filter(|(name, _)| *name != "HashAlgorithm") {
        let malformed = || RegistersFileError::Member { name: name.clone() };
        let index = name.strip_prefix("PCR").and_then(|index| index.parse().ok());
        let index = index.filter(|index| *index <= MAX_PCR_INDEX).ok_or_else(malformed)?;
        let value = value.as_str().and_then(|hex| hex::decode(hex).ok()).ok_or_else(malformed)?;
        registers.insert(index, value.try_into().map_err(|_| malformed())?);
    }
    if registers.is_empty() { Err(RegistersFileError::NoRegisters) } else { Ok(registers) }
}

/// Why a file of registers cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistersFileError {
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// No object with registers in it.
    #[error("no registers, such as {{\"PCR0\": \"…\"}}")]
    NoRegisters,
    /// A member that is not PCR0 to PCR31 with 96 hex digits.
    #[error("{name:?} is not one of PCR0 to PCR31 with 96 hex digits")]
    Member {
        /// The member's name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_at_launch_is_locked_and_the_rest_is_the_enclaves_own() {
        let mut registers = Registers::at_launch(&BTreeMap::from([(0, [7; PCR_BYTES])]));
        assert_eq!(registers.describe(0), Ok((&[7; PCR_BYTES], true)));
        assert_eq!(registers.extend(15, b"x"), Err(RegisterError::Locked));
        let extended = registers.extend(16, b"x").unwrap();
        // `(head -c 48 /dev/zero; printf x) | sha384sum`
        let expected = "f42eb18dcc96216807ca9e870c07a51ad446c13c9abc4b6335d02a4074b55a4fffb1712c7519ae198d53e703626b0619";
        assert_eq!(hex::encode(extended), expected);
        assert_eq!(registers.describe(16), Ok((&extended, false)));
        assert_ne!(registers.extend(16, b"x").unwrap(), extended);

        assert_eq!(registers.locked().count(), 16);
        registers.lock(16).unwrap();
        assert_eq!(registers.lock(16), Err(RegisterError::Locked));
        assert_eq!(registers.extend(16, b"x"), Err(RegisterError::Locked));
        assert_eq!(registers.locked().count(), 17);
        registers.lock_below(32).unwrap();
        assert_eq!(registers.locked().count(), 32);
    }

    #[test]
    fn there_are_32() {
        let mut registers = Registers::at_launch(&BTreeMap::new());
        assert!(registers.describe(31).is_ok());
        for index in [32, 255, 256, u16::MAX] {
            assert_eq!(registers.describe(index), Err(RegisterError::NoSuchRegister));
            assert_eq!(registers.extend(index, b""), Err(RegisterError::NoSuchRegister));
            assert_eq!(registers.lock(index), Err(RegisterError::NoSuchRegister));
        }
        assert_eq!(registers.lock_below(33), Err(RegisterError::NoSuchRegister));
    }

    #[test]
    fn files_of_nitro_cli_are_read() {
        let value = "ab".repeat(48);
        let members =
            format!(r#"{{"HashAlgorithm": "Sha384 {{ ... }}", "PCR0": "{value}", "PCR8": "{value}"}}"#);
        let expected = BTreeMap::from([(0, [0xab; 48]), (8, [0xab; 48])]);
        assert_eq!(from_json(&members), Ok(expected.clone()));
        assert_eq!(from_json(&format!(r#"{{"Measurements": {members}, "IsSigned": true}}"#)), Ok(expected));

        assert!(matches!(from_json("PCR0"), Err(RegistersFileError::Json(_))));
        for nothing in ["[]", "{}", r#"{"Measurements": {}}"#, r#"{"HashAlgorithm": "x"}"#] {
            assert_eq!(from_json(nothing), Err(RegistersFileError::NoRegisters), "{nothing}");
        }
        for (name, value) in
            [("PCR32", &*value), ("PCR-1", &value), ("pcr0", &value), ("PCR0", "ab"), ("PCR0", "x")]
        {
            let error = from_json(&format!(r#"{{"{name}": "{value}"}}"#)).unwrap_err();
            assert_eq!(error, RegistersFileError::Member { name: name.to_owned() });
        }
    }
}
