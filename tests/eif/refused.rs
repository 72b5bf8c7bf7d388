use nitro_key_broker::cbor::CborError;
use nitro_key_broker::cose::CoseError;
use nitro_key_broker::eif::{EifError, MAX_SIGNATURE_SECTION_BYTES, SectionKind, SignatureError, read};

use crate::image::{
    CMDLINE, CRC_OFFSET, HEADER_LEN, ImageToWrite, KERNEL, LENGTH_TABLE, METADATA, OFFSET_TABLE, RAMDISK,
    SIGNATURE, set_crc,
};
use crate::measured::sections_of;

fn plain() -> ImageToWrite {
    ImageToWrite::new(b"kernel", b"cmdline", &[b"boot", b"app"])
}

/// What is said of an image after `spoil`, its checksum made right again.
fn refused(image: &ImageToWrite, spoil: impl Fn(&mut Vec<u8>)) -> EifError {
    let mut bytes = image.encode();
    spoil(&mut bytes);
    set_crc(&mut bytes);
    read(&bytes).unwrap_err()
}

fn set_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

#[test]
fn headers() {
    assert_eq!(refused(&plain(), |bytes| bytes[0] = 0x7f), EifError::Magic { actual: *b"\x7feif" });
    for version in [0, 1, 5, 0xffff] {
        let image = ImageToWrite { version, ..plain() };
        assert_eq!(refused(&image, |_| ()), EifError::Version { actual: version });
    }
    let image = ImageToWrite { flags: 2, ..plain() };
    assert_eq!(refused(&image, |_| ()), EifError::HeaderFlags { actual: 2 });
    let reserved = EifError::NotZero { field: "reserved", actual: 7 };
    assert_eq!(refused(&plain(), |bytes| bytes[25] = 7), reserved);
    let unused = EifError::NotZero { field: "unused", actual: 7 };
    assert_eq!(refused(&plain(), |bytes| bytes[CRC_OFFSET - 1] = 7), unused);
    assert_eq!(refused(&plain(), |bytes| bytes[27] = 0), EifError::SectionCount { actual: 0 });
    assert_eq!(refused(&plain(), |bytes| bytes[27] = 33), EifError::SectionCount { actual: 33 });
    assert_eq!(refused(&plain(), |bytes| bytes[26] = 255), EifError::SectionCount { actual: 65_285 });
}

#[test]
fn a_table_that_says_something_else_than_the_sections() {
    let first = u64::try_from(HEADER_LEN).unwrap();
    assert_eq!(
        refused(&plain(), |bytes| set_u64(bytes, OFFSET_TABLE, 549)),
        EifError::SectionOffset { index: 0, expected: first, actual: 549 }
    );
    // QEMU would boot the ramdisks in another order than AWS's reader measures them.
    let swapped = refused(&plain(), |bytes| {
        for table in [OFFSET_TABLE, LENGTH_TABLE] {
            let entries = bytes[table + 24..table + 40].to_vec();
            bytes[table + 24..table + 32].copy_from_slice(&entries[8..]);
            bytes[table + 32..table + 40].copy_from_slice(&entries[..8]);
        }
    });
    assert!(matches!(swapped, EifError::SectionOffset { index: 3, .. }), "{swapped}");
    assert_eq!(
        refused(&plain(), |bytes| set_u64(bytes, LENGTH_TABLE, 5)),
        EifError::SectionLength { index: 0, in_table: 5, in_section: 6 }
    );
    for table in [OFFSET_TABLE, LENGTH_TABLE] {
        let error = refused(&plain(), |bytes| set_u64(bytes, table + 8 * 31, 1));
        assert_eq!(error, EifError::UnusedEntry { index: 31 });
    }
}

#[test]
fn lengths_beyond_the_image_are_not_believed() {
    for length in [7, 1 << 32, u64::MAX] {
        let error = refused(&plain(), |bytes| {
            set_u64(bytes, LENGTH_TABLE, length);
            set_u64(bytes, HEADER_LEN + 4, length);
        });
        let is_expected =
            matches!(error, EifError::UnexpectedEnd { .. } | EifError::UnknownSection { index: 1, .. });
        assert!(is_expected, "{length}: {error}");
    }
}

#[test]
fn sections() {
    let with = |sections: Vec<u16>| ImageToWrite {
        version: 4,
        flags: 0,
        sections: sections.into_iter().map(|kind| (kind, b"content".to_vec())).collect(),
    };
    let unknown = EifError::UnknownSection { index: 2, number: 6 };
    assert_eq!(refused(&with(vec![KERNEL, CMDLINE, 6]), |_| ()), unknown);
    let invalid = EifError::UnknownSection { index: 0, number: 0 };
    assert_eq!(refused(&with(vec![0]), |_| ()), invalid);
    let flags = EifError::SectionFlags { index: 0, actual: 1 };
    assert_eq!(refused(&plain(), |bytes| bytes[HEADER_LEN + 3] = 1), flags);

    let order = |index, expected, actual| EifError::SectionOrder { index, expected, actual };
    let error = refused(&with(vec![CMDLINE, KERNEL, RAMDISK]), |_| ());
    assert_eq!(error, order(0, SectionKind::Kernel, SectionKind::Cmdline));
    let error = refused(&with(vec![KERNEL, RAMDISK, CMDLINE]), |_| ());
    assert_eq!(error, order(1, SectionKind::Cmdline, SectionKind::Ramdisk));
    for (kind, number) in
        [(SectionKind::Kernel, KERNEL), (SectionKind::Cmdline, CMDLINE), (SectionKind::Metadata, METADATA)]
    {
        let sections = vec![KERNEL, CMDLINE, METADATA, RAMDISK, number];
        assert_eq!(refused(&with(sections), |_| ()), EifError::SectionRepeated { index: 4, kind });
    }
    assert_eq!(refused(&with(vec![KERNEL, CMDLINE, METADATA]), |_| ()), EifError::NoRamdisk);
    assert_eq!(refused(&with(vec![KERNEL]), |_| ()), EifError::NoRamdisk);

    let error = refused(&ImageToWrite { version: 3, ..plain() }, |_| ());
    assert_eq!(error, EifError::SectionNotInVersion { kind: SectionKind::Metadata, version: 3 });
    let image = ImageToWrite { version: 2, ..with(vec![KERNEL, CMDLINE, RAMDISK, SIGNATURE]) };
    let error = refused(&image, |_| ());
    assert_eq!(error, EifError::SectionNotInVersion { kind: SectionKind::Signature, version: 2 });
}

#[test]
fn images_cut_short_or_continued() {
    let bytes = plain().encode();
    for end in 0..bytes.len() {
        let error = read(&bytes[..end]).unwrap_err();
        assert_eq!(error, EifError::UnexpectedEnd { offset: u64::try_from(end).unwrap() });
    }
    let continued = [&bytes[..], b"x"].concat();
    let offset = u64::try_from(bytes.len()).unwrap();
    assert_eq!(read(&continued).unwrap_err(), EifError::TrailingBytes { offset });
}

#[test]
fn a_wrong_checksum() {
    let mut bytes = plain().encode();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(matches!(read(&bytes).unwrap_err(), EifError::Crc { .. }));
}

/// The signed vector with its signature section changed.
fn with_signature(change: impl Fn(&mut Vec<u8>)) -> SignatureError {
    let bytes = include_bytes!("../../testdata/eif/signed.eif");
    let mut sections = sections_of(bytes, &read(bytes).unwrap());
    change(&mut sections.last_mut().unwrap().1);
    match read(&ImageToWrite { version: 4, flags: 0, sections }.encode()).unwrap_err() {
        EifError::Signature(error) => error,
        other => panic!("{other}"),
    }
}

/// The encoding of bytes as the section has them.
fn list(bytes: &[u8]) -> Vec<u8> {
    minicbor::to_vec(bytes.iter().map(|byte| u64::from(*byte)).collect::<Vec<_>>()).unwrap()
}

#[test]
fn signatures() {
    let bytes = include_bytes!("../../testdata/eif/signed.eif");
    let mut sections = sections_of(bytes, &read(bytes).unwrap());
    sections[0].1[0] ^= 1;
    let error = read(&ImageToWrite { version: 4, flags: 0, sections }.encode()).unwrap_err();
    assert!(
        matches!(error, EifError::Signature(SignatureError::OtherImage { index: 0, .. })),
        "a signature taken from another image: {error}"
    );

    assert_eq!(with_signature(|section| section[0] = 0x80), SignatureError::Count { actual: 0 });
    assert_eq!(with_signature(|section| section[0] = 0x82), SignatureError::Count { actual: 2 });
    assert_eq!(
        with_signature(|section| section[1] = 0xa0),
        SignatureError::Entry { expected: "signing_certificate" }
    );
    assert_eq!(
        with_signature(|section| section[3] = b'S'),
        SignatureError::Entry { expected: "signing_certificate" }
    );
    let error = with_signature(|section| section.push(0));
    assert!(matches!(error, SignatureError::Cbor(CborError::TrailingBytes { count: 1, .. })), "{error}");
    let error = with_signature(|section| section.truncate(section.len() - 1));
    assert!(matches!(error, SignatureError::Cbor(CborError::UnexpectedEnd { .. })), "{error}");
    let error = with_signature(|section| {
        *section.last_mut().unwrap() ^= 1;
    });
    assert_eq!(error, SignatureError::Cose(CoseError::SignatureMismatch));

    let forged = |certificate: &[u8]| {
        let mut section = vec![0x81, 0xa2, 0x73];
        section.extend(b"signing_certificate");
        section.extend(certificate);
        section.push(0x69);
        section.extend(b"signature");
        section.extend(list(b""));
        with_signature(move |old| old.clone_from(&section))
    };
    assert_eq!(forged(&list(b"no certificate")), SignatureError::Pem);
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(forged(&list(pem)), SignatureError::Certificate { .. }));
    let p256 =
        nitro_key_broker::server::tls_identity::mint(&["localhost"], nitro_key_broker::time::UnixTime::now());
    assert_eq!(forged(&list(p256.unwrap().server_certificate_pem.as_bytes())), SignatureError::Key);
    let not_a_byte = forged(&[0x81, 0x19, 0x01, 0x00]);
    assert_eq!(not_a_byte, SignatureError::NotAByte { offset: 23, actual: 256 });
    // A list that claims more elements than there are bytes.
    let claimed = forged(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(claimed, SignatureError::Cbor(_)), "{claimed}");
}

#[test]
fn a_signature_section_longer_than_any_signature_is_not_collected() {
    let mut image = plain();
    image.sections.push((SIGNATURE, vec![0; MAX_SIGNATURE_SECTION_BYTES + 1]));
    assert_eq!(refused(&image, |_| ()), EifError::SignatureTooLong { limit: 65_536, actual: 65_537 });
}
