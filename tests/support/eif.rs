//! Writes enclave images of any shape, and measures images in the two ways that published readers do.

use sha2::{Digest as _, Sha384};

pub const KERNEL: u16 = 1;
pub const CMDLINE: u16 = 2;
pub const RAMDISK: u16 = 3;
pub const SIGNATURE: u16 = 4;
pub const METADATA: u16 = 5;

pub const HEADER_LEN: usize = 548;
pub const CRC_OFFSET: usize = 544;
pub const OFFSET_TABLE: usize = 28;
pub const LENGTH_TABLE: usize = 284;

/// An image to write: consistent unless a test spoils what comes out.
#[derive(Clone, Debug)]
pub struct ImageToWrite {
    pub version: u16,
    pub flags: u16,
    /// Type and content.
    pub sections: Vec<(u16, Vec<u8>)>,
}

impl ImageToWrite {
    /// As AWS's builder lays it out: kernel, command line, metadata, ramdisks.
    pub fn new(kernel: &[u8], cmdline: &[u8], ramdisks: &[&[u8]]) -> Self {
        let metadata = br#"{"ImageName":"written by a test"}"#;
        let mut sections =
            vec![(KERNEL, kernel.to_vec()), (CMDLINE, cmdline.to_vec()), (METADATA, metadata.to_vec())];
        sections.extend(ramdisks.iter().map(|ramdisk| (RAMDISK, ramdisk.to_vec())));
        Self { version: 4, flags: 0, sections }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut image = Vec::new();
        image.extend(b".eif");
        image.extend(self.version.to_be_bytes());
        image.extend(self.flags.to_be_bytes());
        image.extend((1024_u64 * 1024 * 1024).to_be_bytes());
        image.extend(2_u64.to_be_bytes());
        image.extend(0_u16.to_be_bytes());
        image.extend(u16::try_from(self.sections.len()).unwrap().to_be_bytes());
        image.resize(HEADER_LEN, 0);
        for (index, (kind, content)) in self.sections.iter().enumerate() {
            let offset = image.len().to_be_bytes();
            let length = content.len().to_be_bytes();
            if index < 32 {
                image[OFFSET_TABLE + 8 * index..][..8].copy_from_slice(&offset);
                image[LENGTH_TABLE + 8 * index..][..8].copy_from_slice(&length);
            }
            image.extend(kind.to_be_bytes());
            image.extend(0_u16.to_be_bytes());
            image.extend(length);
            image.extend(content);
        }
        set_crc(&mut image);
        image
    }
}

/// Makes the checksum right, whatever was done to the image.
pub fn set_crc(image: &mut [u8]) {
    if image.len() < HEADER_LEN {
        return;
    }
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    digest.update(&image[..CRC_OFFSET]);
    digest.update(&image[HEADER_LEN..]);
    image[CRC_OFFSET..HEADER_LEN].copy_from_slice(&digest.finalize().to_be_bytes());
}

/// PCR0, PCR1 and PCR2 of sections as they follow each other, which is how AWS's reader takes them.
pub fn measured_in_sequence(image: &[u8]) -> [Vec<u8>; 3] {
    let mut sections = Vec::new();
    let mut rest = &image[HEADER_LEN..];
    while !rest.is_empty() {
        let (kind, length) = section_header(rest);
        sections.push((kind, &rest[12..12 + length]));
        rest = &rest[12 + length..];
    }
    measured(&sections)
}

/// The same of sections as the header's table has them, which is how QEMU takes them.
pub fn measured_by_table(image: &[u8]) -> [Vec<u8>; 3] {
    let entry = |table: usize, index: usize| {
        let bytes: [u8; 8] = image[table + 8 * index..][..8].try_into().unwrap();
        usize::try_from(u64::from_be_bytes(bytes)).unwrap()
    };
    let count = usize::from(u16::from_be_bytes([image[26], image[27]]));
    let sections: Vec<(u16, &[u8])> = (0..count)
        .map(|index| {
            let section = &image[entry(OFFSET_TABLE, index)..];
            let (kind, _) = section_header(section);
            (kind, &section[12..12 + entry(LENGTH_TABLE, index)])
        })
        .collect();
    measured(&sections)
}

fn section_header(section: &[u8]) -> (u16, usize) {
    let length: [u8; 8] = section[4..12].try_into().unwrap();
    (u16::from_be_bytes([section[0], section[1]]), usize::try_from(u64::from_be_bytes(length)).unwrap())
}

fn measured(sections: &[(u16, &[u8])]) -> [Vec<u8>; 3] {
    let mut registers = [Sha384::new(), Sha384::new(), Sha384::new()];
    let mut ramdisks = 0;
    for (kind, content) in sections {
        ramdisks += usize::from(*kind == RAMDISK);
        let second = match *kind {
            KERNEL | CMDLINE => 1,
            RAMDISK if ramdisks == 1 => 1,
            RAMDISK => 2,
            _ => continue,
        };
        registers[0].update(content);
        registers[second].update(content);
    }
    registers.map(|register| {
        let extended = Sha384::new().chain_update([0; 48]).chain_update(register.finalize());
        extended.finalize().to_vec()
    })
}
