//! The Enclave Image Format (EIF): what an image holds, and what hardware measures of it.
//!
//! `docs/eif.md` writes the format down; its reference is the crate aws-nitro-enclaves-image-format. An image is read
//! once, front to back, in pieces of any size, since kernels and ramdisks are large:
//!
//! ```text
//! Reader::new() ─► update(bytes) … ─► finish() ─► Image { sections, measurements, … }
//! ```
//!
//! Readers in use differ: one goes by the table in the header, another by the sections as they follow each other. Only
//! an image that is the same to both is accepted, so that nobody measures another image than the one that boots.

mod error;
mod header;
mod measure;
mod signature;

use std::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, Digest};

pub use error::EifError;
pub use header::{Architecture, Header, MAX_SECTIONS};
pub use measure::{MEASUREMENT_LEN, Measurement, Measurements};
pub use signature::{ImageSignature, MAX_SIGNATURE_SECTION_BYTES, SignatureError};

use header::{CRC_OFFSET, HEADER_LEN, SECTION_HEADER_LEN};
use measure::Measurer;

/// `crc32` of zlib, over everything but the field that holds it.
static CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// An image that was read whole and is consistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What the header says.
    pub header: Header,
    /// Every section, in order.
    pub sections: Vec<Section>,
    /// What hardware measures.
    pub measurements: Measurements,
    /// Who signed it, once the signature is verified; `None` for an image without one.
    pub signature: Option<ImageSignature>,
}

/// A section of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// Bytes of its content.
    pub len: u64,
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// The kernel, type 1.
    Kernel,
    /// The kernel's command line, type 2.
    Cmdline,
    /// A ramdisk, type 3: the first one boots, the others are the application.
    Ramdisk,
    /// The signature over PCR0 with its certificate, type 4.
    Signature,
    /// Build information in JSON, type 5. It is not measured, and not looked at here.
    Metadata,
}

impl SectionKind {
    /// The kind with that number in a section's header.
    fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Kernel),
            2 => Some(Self::Cmdline),
            3 => Some(Self::Ramdisk),
            4 => Some(Self::Signature),
            5 => Some(Self::Metadata),
            _ => None,
        }
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Cmdline => "cmdline",
            Self::Ramdisk => "ramdisk",
            Self::Signature => "signature",
            Self::Metadata => "metadata",
        })
    }
}

/// Reads a whole image that is in memory.
///
/// # Errors
/// As [`Reader::update`] and [`Reader::finish`].
pub fn read(image: &[u8]) -> Result<Image, EifError> {
    let mut reader = Reader::new();
    reader.update(image)?;
    reader.finish()
}

/// Reads an image that comes in pieces.
pub struct Reader {
    state: State,
    /// Bytes read so far.
    offset: u64,
    crc: Digest<'static, u32>,
    measurer: Measurer,
    /// What is collected before it is looked at: a header, a section's header, or the signature.
    collected: Vec<u8>,
    header: Option<Header>,
    sections: Vec<Section>,
    signature_section: Option<Vec<u8>>,
}

/// What the next bytes are.
#[derive(Clone, Copy)]
enum State {
    Header,
    SectionHeader,
    Content { kind: SectionKind, left: u64 },
    End,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the start of an image.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            offset: 0,
            crc: CRC32.digest(),
            measurer: Measurer::new(),
            collected: Vec::with_capacity(HEADER_LEN),
            header: None,
            sections: Vec::new(),
            signature_section: None,
        }
    }

    /// Reads the next bytes of the image.
    ///
    /// # Errors
    /// When they are not those of a consistent image. The reader is of no use any more then.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), EifError> {
        while !bytes.is_empty() {
            let wanted = match self.state {
                State::Header => HEADER_LEN.saturating_sub(self.collected.len()),
                State::SectionHeader => SECTION_HEADER_LEN.saturating_sub(self.collected.len()),
                State::Content { left, .. } => usize::try_from(left).unwrap_or(usize::MAX),
                State::End => return Err(EifError::TrailingBytes { offset: self.offset }),
            };
            let (now, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            self.offset = self.offset.saturating_add(len_of(now));
            self.take(now)?;
            bytes = rest;
        }
        Ok(())
    }

    /// What the image holds, after its last byte.
    ///
    /// # Errors
    /// When bytes are missing, the checksum is another one, or the signature is none over this image.
    pub fn finish(self) -> Result<Image, EifError> {
        let Self { state, offset, crc, measurer, collected: _, header, sections, signature_section } = self;
        let (State::End, Some(header)) = (state, header) else {
            return Err(EifError::UnexpectedEnd { offset });
        };
        let actual = crc.finalize();
        if header.crc32 != actual {
            return Err(EifError::Crc { expected: header.crc32, actual });
        }
        let mut measurements = measurer.finish();
        let signature = match signature_section {
            Some(section) => Some(ImageSignature::verify(&section, &measurements.pcr0)?),
            None => None,
        };
        measurements.pcr8 =
            signature.as_ref().map(|signature| measure::of_certificate(&signature.certificate));
        Ok(Image { header, sections, measurements, signature })
    }

    /// Takes no more bytes than the state wants.
    fn take(&mut self, bytes: &[u8]) -> Result<(), EifError> {
        match self.state {
            State::Header => {
                self.collected.extend_from_slice(bytes);
                if self.collected.len() == HEADER_LEN { self.end_header() } else { Ok(()) }
            }
            State::SectionHeader => {
                self.collected.extend_from_slice(bytes);
                if self.collected.len() == SECTION_HEADER_LEN { self.end_section_header() } else { Ok(()) }
            }
            State::Content { kind, left } => {
                self.crc.update(bytes);
                match kind {
                    SectionKind::Kernel | SectionKind::Cmdline | SectionKind::Ramdisk => {
                        self.measurer.update(kind, bytes);
                    }
                    SectionKind::Signature => self.collected.extend_from_slice(bytes),
                    SectionKind::Metadata => {}
                }
                self.state = State::Content { kind, left: left.saturating_sub(len_of(bytes)) };
                self.end_content()
            }
            State::End => Ok(()),
        }
    }

    fn end_header(&mut self) -> Result<(), EifError> {
        let bytes = std::mem::take(&mut self.collected);
        self.crc.update(bytes.get(..CRC_OFFSET).unwrap_or_default());
        self.header = Some(Header::parse(&bytes)?);
        self.state = State::SectionHeader;
        Ok(())
    }

    fn end_section_header(&mut self) -> Result<(), EifError> {
        let bytes = std::mem::take(&mut self.collected);
        self.crc.update(&bytes);
        let Some(header) = &self.header else { return Err(EifError::UnexpectedEnd { offset: self.offset }) };
        let start = self.offset.saturating_sub(len_of(&bytes));
        let section = header.section(&bytes, start, &self.sections)?;
        if section.kind == SectionKind::Ramdisk {
            self.measurer.begin_ramdisk();
        }
        self.sections.push(section);
        self.state = State::Content { kind: section.kind, left: section.len };
        self.end_content()
    }

    fn end_content(&mut self) -> Result<(), EifError> {
        let (State::Content { kind, left: 0 }, Some(header)) = (self.state, &self.header) else {
            return Ok(());
        };
        if kind == SectionKind::Signature {
            self.signature_section = Some(std::mem::take(&mut self.collected));
        }
        self.state = State::SectionHeader;
        if self.sections.len() == header.section_count() {
            if !self.sections.iter().any(|section| section.kind == SectionKind::Ramdisk) {
                return Err(EifError::NoRamdisk);
            }
            self.state = State::End;
        }
        Ok(())
    }
}

fn len_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
