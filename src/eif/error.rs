//! Why bytes are not an enclave image.

use super::SectionKind;
use super::signature::SignatureError;

/// The first thing that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EifError {
    /// Another kind of file.
    #[error("expected the magic bytes 2e656966 (.eif), found {}", hex::encode(.actual))]
    Magic {
        /// The first four bytes.
        actual: [u8; 4],
    },
    /// A version with other rules.
    #[error("expected EIF version 2, 3 or 4, found {actual}")]
    Version {
        /// The version found.
        actual: u16,
    },
    /// A flag that is not defined.
    #[error("expected header flags 0 (x86_64) or 1 (aarch64), found {actual:#06x}")]
    HeaderFlags {
        /// The flags found.
        actual: u16,
    },
    /// A field without a meaning has a value.
    #[error("expected the header field {field} to be zero, found {actual}")]
    NotZero {
        /// The field.
        field: &'static str,
        /// Its value.
        actual: u32,
    },
    /// Fewer or more sections than there can be.
    #[error("expected 1 to 32 sections, found {actual}")]
    SectionCount {
        /// The number found.
        actual: usize,
    },
    /// An entry of the table is set that belongs to no section.
    #[error("entry {index} of the table belongs to no section and is not zero")]
    UnusedEntry {
        /// Its place.
        index: usize,
    },
    /// A section of a kind that is not defined.
    #[error("section {index} is of unknown type {number}")]
    UnknownSection {
        /// Its place.
        index: usize,
        /// The type found.
        number: u16,
    },
    /// A section has flags, and none are defined.
    #[error("expected flags 0 in section {index}, found {actual:#06x}")]
    SectionFlags {
        /// Its place.
        index: usize,
        /// The flags found.
        actual: u16,
    },
    /// The table puts a section where it is not: there would be two readings of the image.
    #[error("section {index} begins at byte {expected}, the table says {actual}")]
    SectionOffset {
        /// Its place.
        index: usize,
        /// Where it begins.
        expected: u64,
        /// Where the table puts it.
        actual: u64,
    },
    /// Table and section differ about the section's length.
    #[error("section {index} has {in_section} bytes by its own header and {in_table} by the table")]
    SectionLength {
        /// Its place.
        index: usize,
        /// The length in the table.
        in_table: u64,
        /// The length in the section's header.
        in_section: u64,
    },
    /// The sections stand in another order than hardware measures them in.
    #[error("expected section {index} to be the {expected}, found a {actual}")]
    SectionOrder {
        /// Its place.
        index: usize,
        /// What belongs there.
        expected: SectionKind,
        /// What is there.
        actual: SectionKind,
    },
    /// A second section of a kind that there is one of.
    #[error("section {index} is a second {kind}")]
    SectionRepeated {
        /// Its place.
        index: usize,
        /// Its kind.
        kind: SectionKind,
    },
    /// A kind of section that this version does not have.
    #[error("EIF version {version} has no {kind} section")]
    SectionNotInVersion {
        /// Its kind.
        kind: SectionKind,
        /// The version of the image.
        version: u16,
    },
    /// Nothing to boot into.
    #[error("the image has no ramdisk")]
    NoRamdisk,
    /// A signature section longer than any signature.
    #[error("the signature section has {actual} bytes, at most {limit} are read")]
    SignatureTooLong {
        /// [`super::MAX_SIGNATURE_SECTION_BYTES`].
        limit: u64,
        /// The length found.
        actual: u64,
    },
    /// The image ends before its last section does.
    #[error("the image ends at byte {offset}, before its last section does")]
    UnexpectedEnd {
        /// Where it ends.
        offset: u64,
    },
    /// Bytes follow the last section.
    #[error("bytes follow the last section, which ends at byte {offset}")]
    TrailingBytes {
        /// Where the surplus starts.
        offset: u64,
    },
    /// The image was damaged, or changed by somebody who forgot the checksum.
    #[error("the checksum is {expected:08x} by the header and {actual:08x} of what was read")]
    Crc {
        /// What the header says.
        expected: u32,
        /// What was computed.
        actual: u32,
    },
    /// The signature section is none, or not one over this image.
    #[error("the signature section: {0}")]
    Signature(#[from] SignatureError),
}
