use std::path::Path;

use nitro_key_broker::eif::{Architecture, Image, Reader, SectionKind, read};
use proptest::prelude::*;

use crate::image::{ImageToWrite, SIGNATURE, measured_by_table, measured_in_sequence};

fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/eif");
    std::fs::read(folder.join(name).with_extension("eif")).unwrap()
}

/// `testdata/eif` was made with aws-nitro-enclaves-image-format, and measured by its builder and its reader.
#[test]
fn images_of_the_reference_measure_as_the_reference_says() {
    let index: toml::Table = include_str!("../../testdata/eif/measured.toml").parse().unwrap();
    assert_eq!(index.len(), 4);
    for (name, expected) in index {
        let image = read(&vector(&name)).unwrap();
        let measurements = &image.measurements;
        let registers = [
            ("PCR0", Some(measurements.pcr0)),
            ("PCR1", Some(measurements.pcr1)),
            ("PCR2", Some(measurements.pcr2)),
            ("PCR8", measurements.pcr8),
        ];
        for (register, actual) in registers {
            let expected = expected.get(register).map(|value| value.as_str().unwrap().to_owned());
            assert_eq!(actual.map(hex::encode), expected, "{register} of {name}");
        }
    }
}

#[test]
fn what_an_image_holds_is_told() {
    let image = read(&vector("signed")).unwrap();
    assert_eq!((image.header.version, image.header.architecture), (4, Architecture::X86_64));
    assert_eq!((image.header.default_cpus, image.header.default_memory), (2, 1024 * 1024 * 1024));
    let kinds: Vec<SectionKind> = image.sections.iter().map(|section| section.kind).collect();
    use SectionKind::{Cmdline, Kernel, Metadata, Ramdisk, Signature};
    assert_eq!(kinds, [Kernel, Cmdline, Metadata, Ramdisk, Ramdisk, Signature]);
    assert_eq!(image.sections[0].len, 4099);
    let signature = image.signature.unwrap();
    assert!(signature.summary.subject.contains("CN=vector of an image signature"), "{signature:?}");

    let arm = read(&vector("aarch64")).unwrap();
    assert_eq!((arm.header.architecture, arm.signature), (Architecture::Aarch64, None));
}

#[test]
fn older_versions_are_read() {
    let mut image = ImageToWrite::new(b"kernel", b"cmdline", &[b"boot", b"app"]);
    let newest = read(&image.encode()).unwrap().measurements;
    image.sections.remove(2);
    for version in [2, 3, 4] {
        image.version = version;
        assert_eq!(read(&image.encode()).unwrap().measurements, newest, "version {version}");
    }
}

/// The order of the other sections is the builder's own affair.
#[test]
fn the_signature_may_stand_before_the_ramdisks() {
    let signed = read(&vector("signed")).unwrap();
    let mut sections = sections_of(&vector("signed"), &signed);
    let signature = sections.pop().unwrap();
    assert_eq!(signature.0, SIGNATURE);
    sections.insert(2, signature);
    let moved = read(&ImageToWrite { version: 4, flags: 0, sections }.encode()).unwrap();
    assert_eq!(moved.measurements, signed.measurements);
}

/// The sections of an image that was read.
pub fn sections_of(bytes: &[u8], image: &Image) -> Vec<(u16, Vec<u8>)> {
    let mut at = crate::image::HEADER_LEN;
    image
        .sections
        .iter()
        .map(|section| {
            let kind = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            let content = at + 12..at + 12 + usize::try_from(section.len).unwrap();
            at = content.end;
            (kind, bytes[content].to_vec())
        })
        .collect()
}

proptest! {
    #[test]
    fn both_published_ways_of_reading_measure_the_same(
        kernel in prop::collection::vec(any::<u8>(), 0..200),
        cmdline in prop::collection::vec(any::<u8>(), 0..50),
        ramdisks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..29),
    ) {
        let ramdisks: Vec<&[u8]> = ramdisks.iter().map(Vec::as_slice).collect();
        let bytes = ImageToWrite::new(&kernel, &cmdline, &ramdisks).encode();
        let image = read(&bytes).unwrap();
        let ours = &image.measurements;
        prop_assert_eq!([ours.pcr0, ours.pcr1, ours.pcr2].map(Vec::from), measured_in_sequence(&bytes));
        prop_assert_eq!([ours.pcr0, ours.pcr1, ours.pcr2].map(Vec::from), measured_by_table(&bytes));
        prop_assert_eq!(image.sections.len(), 3 + ramdisks.len());
    }

    #[test]
    fn pieces_of_any_size_read_the_same(cuts in prop::collection::vec(0_usize..400, 1..60), spoil in any::<Option<(prop::sample::Index, u8)>>()) {
        let mut bytes = vector("signed");
        if let Some((at, change)) = spoil {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        let mut reader = Reader::new();
        let mut rest = &bytes[..];
        let mut result = Ok(());
        for cut in cuts.iter().cycle().take(bytes.len()) {
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            result = result.and_then(|()| reader.update(piece));
            rest = after;
        }
        result = result.and_then(|()| reader.update(rest));
        prop_assert_eq!(result.and_then(|()| reader.finish()), read(&bytes));
    }

    #[test]
    fn any_changed_byte_is_noticed(at in any::<prop::sample::Index>(), change in 1_u8..) {
        let mut bytes = vector("three_ramdisks");
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(read(&bytes).is_err());
        prop_assert!(read(&[&b".eif\x00\x04\x00\x00"[..], &bytes].concat()).is_err());
    }
}
