use std::fmt;

/// Platform configuration registers have the indices 0 to 31 (published attestation process).
pub const PCR_COUNT: usize = 32;
/// Bytes of a register under `digest` = SHA384.
pub const PCR_LEN: usize = 48;

/// The value of one platform configuration register.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pcr(pub [u8; PCR_LEN]);

/// The registers that a document carries, by index.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Pcrs {
    values: [Option<Pcr>; PCR_COUNT],
}

impl Pcr {
    /// Lower-case hexadecimal, as KMS condition values are written.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Whether nothing was ever measured into the register.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl Pcrs {
    /// The register with this index, if the document carries it.
    pub fn get(&self, index: u8) -> Option<&Pcr> {
        self.values.get(usize::from(index)).and_then(Option::as_ref)
    }

    /// Every register that the document carries, in order of index.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &Pcr)> {
        (0_u8..).zip(&self.values).filter_map(|(index, value)| Some((index, value.as_ref()?)))
    }

    /// How many registers the document carries.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Sets a register; false when the index is out of range or set already.
    #[must_use]
    pub(super) fn insert(&mut self, index: u64, value: Pcr) -> bool {
        let slot = usize::try_from(index).ok().and_then(|index| self.values.get_mut(index));
        match slot {
            Some(slot @ None) => {
                *slot = Some(value);
                true
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pcr({})", hex::encode(self.0))
    }
}

impl fmt::Debug for Pcrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
