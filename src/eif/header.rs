//! The header with its table of sections, and the header that each section has of its own. Integers are big-endian.

use std::fmt;

use super::signature::MAX_SIGNATURE_SECTION_BYTES;
use super::{EifError, Section, SectionKind};

/// Sections at most: the table has so many entries.
pub const MAX_SECTIONS: usize = 32;

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 548;

/// Where in the header the checksum stands, its last field.
pub(super) const CRC_OFFSET: usize = HEADER_LEN - 4;

/// Bytes of a section's own header: type, flags, size.
pub(super) const SECTION_HEADER_LEN: usize = 12;

const MAGIC: [u8; 4] = *b".eif";

/// Version 2 brought the checksum, 3 the signature, 4 the metadata; version 1 has nothing that shows a damaged image.
const VERSIONS: std::ops::RangeInclusive<u16> = 2..=4;
const FIRST_VERSION_WITH_SIGNATURE: u16 = 3;
const FIRST_VERSION_WITH_METADATA: u16 = 4;

/// The one flag of the header: set for aarch64, clear for x86_64.
const FLAG_AARCH64: u16 = 1;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the format, 2 to 4.
    pub version: u16,
    /// What the kernel runs on.
    pub architecture: Architecture,
    /// Memory in bytes unless the enclave is started with another amount.
    pub default_memory: u64,
    /// CPUs unless the enclave is started with another number.
    pub default_cpus: u64,
    /// The checksum that the image claims.
    pub(super) crc32: u32,
    /// Offset and length of each section.
    table: Vec<(u64, u64)>,
}

/// The architectures of Nitro Enclaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Flag clear.
    X86_64,
    /// Flag set.
    Aarch64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

impl Header {
    /// Reads the first [`HEADER_LEN`] bytes of an image.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, EifError> {
        let mut fields = Fields(bytes);
        let magic = fields.array()?;
        if magic != MAGIC {
            return Err(EifError::Magic { actual: magic });
        }
        let version = fields.u16()?;
        if !VERSIONS.contains(&version) {
            return Err(EifError::Version { actual: version });
        }
        let architecture = match fields.u16()? {
            0 => Architecture::X86_64,
            FLAG_AARCH64 => Architecture::Aarch64,
            actual => return Err(EifError::HeaderFlags { actual }),
        };
        let (default_memory, default_cpus) = (fields.u64()?, fields.u64()?);
        require_zero("reserved", fields.u16()?.into())?;
        let section_count = usize::from(fields.u16()?);
        if !(1..=MAX_SECTIONS).contains(&section_count) {
            return Err(EifError::SectionCount { actual: section_count });
        }
        let offsets = fields.table(section_count)?;
        let lengths = fields.table(section_count)?;
        require_zero("unused", fields.u32()?)?;
        let crc32 = fields.u32()?;
        let table = offsets.into_iter().zip(lengths).collect();
        Ok(Self { version, architecture, default_memory, default_cpus, crc32, table })
    }

    pub(super) fn section_count(&self) -> usize {
        self.table.len()
    }

    /// The section whose own header is `bytes` and begins at `start`, behind the sections `before`.
    pub(super) fn section(&self, bytes: &[u8], start: u64, before: &[Section]) -> Result<Section, EifError> {
        let index = before.len();
        let mut fields = Fields(bytes);
        let number = fields.u16()?;
        let kind = SectionKind::of(number).ok_or(EifError::UnknownSection { index, number })?;
        let flags = fields.u16()?;
        if flags != 0 {
            return Err(EifError::SectionFlags { index, actual: flags });
        }
        let len = fields.u64()?;

        let (offset_in_table, len_in_table) = self.table.get(index).copied().unwrap_or_default();
        if offset_in_table != start {
            return Err(EifError::SectionOffset { index, expected: start, actual: offset_in_table });
        }
        if len_in_table != len {
            return Err(EifError::SectionLength { index, in_table: len_in_table, in_section: len });
        }
        self.check_kind(kind, before)?;
        let limit = u64::try_from(MAX_SIGNATURE_SECTION_BYTES).unwrap_or(u64::MAX);
        if kind == SectionKind::Signature && len > limit {
            return Err(EifError::SignatureTooLong { limit, actual: len });
        }
        Ok(Section { kind, len })
    }

    /// The order in which builders write sections, and in which hardware measures them: kernel, command line, the rest.
    fn check_kind(&self, kind: SectionKind, before: &[Section]) -> Result<(), EifError> {
        let index = before.len();
        let expected = match index {
            0 => Some(SectionKind::Kernel),
            1 => Some(SectionKind::Cmdline),
            _ => None,
        };
        if let Some(expected) = expected.filter(|expected| *expected != kind) {
            return Err(EifError::SectionOrder { index, expected, actual: kind });
        }
        let is_repeated = before.iter().any(|section| section.kind == kind);
        if is_repeated && kind != SectionKind::Ramdisk {
            return Err(EifError::SectionRepeated { index, kind });
        }
        let first_version = match kind {
            SectionKind::Kernel | SectionKind::Cmdline | SectionKind::Ramdisk => *VERSIONS.start(),
            SectionKind::Signature => FIRST_VERSION_WITH_SIGNATURE,
            SectionKind::Metadata => FIRST_VERSION_WITH_METADATA,
        };
        if self.version < first_version {
            return Err(EifError::SectionNotInVersion { kind, version: self.version });
        }
        Ok(())
    }
}

fn require_zero(field: &'static str, actual: u32) -> Result<(), EifError> {
    if actual == 0 { Ok(()) } else { Err(EifError::NotZero { field, actual }) }
}

/// What is left of a header. The reader hands over whole headers, so that it never ends early.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], EifError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(EifError::UnexpectedEnd { offset: 0 })?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, EifError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, EifError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, EifError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The first `used` of [`MAX_SECTIONS`] entries; the others must be zero.
    fn table(&mut self, used: usize) -> Result<Vec<u64>, EifError> {
        let mut entries = Vec::with_capacity(used);
        for index in 0..MAX_SECTIONS {
            match self.u64()? {
                entry if index < used => entries.push(entry),
                0 => {}
                _ => return Err(EifError::UnusedEntry { index }),
            }
        }
        Ok(entries)
    }
}
