//! Envelopes in every valid encoding open; altered, truncated and foreign ones do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::PathBuf;
use std::sync::LazyLock;

use enclave_sample::cms::{CmsError, MAX_ENVELOPE_BYTES, open_enveloped_data};
use enclave_sample::recipient::{RecipientKey, RecipientKeySize};
use proptest::prelude::*;
use support::envelope::{Emitter, Encoding, Rid};

static KEY: LazyLock<RecipientKey> =
    LazyLock::new(|| RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap());

fn emitter(encoding: Encoding) -> Emitter<'static> {
    Emitter::new(KEY.spki_der(), encoding)
}

fn open(envelope: &[u8]) -> Result<Vec<u8>, CmsError> {
    open_enveloped_data(envelope, &KEY).map(|plaintext| plaintext.to_vec())
}

#[test]
fn the_form_of_key_services_opens() {
    for length in [0, 1, 15, 16, 32, 1000, 4096] {
        let plaintext = vec![0x5a; length];
        let envelope = emitter(Encoding::KeyService).seal(&plaintext);
        assert_eq!(envelope[..2], [0x30, 0x80]);
        assert_eq!(open(&envelope).unwrap(), plaintext, "{length} bytes");
    }
}

#[test]
fn the_all_der_form_opens() {
    let envelope = emitter(Encoding::Der).seal(b"secret");
    assert_eq!(envelope[..2], [0x30, 0x82]);
    assert_eq!(open(&envelope).unwrap(), b"secret");
}

/// Forms that AWS's C client rejects, or reads as an empty plaintext.
#[test]
fn indefinite_outer_layers_go_with_any_form_of_the_content() {
    for encoding in [Encoding::PrimitiveContent, Encoding::DefiniteContent] {
        for length in [0, 32, 999, 1000, 4096] {
            let plaintext = vec![0x5a; length];
            let envelope = emitter(encoding.clone()).seal(&plaintext);
            assert_eq!(open(&envelope).unwrap(), plaintext, "{encoding:?}, {length} bytes");
        }
    }
}

#[test]
fn recipients_may_be_named_by_issuer_and_serial_number() {
    let mut emitter = emitter(Encoding::Der);
    emitter.rid = Rid::IssuerAndSerialNumber;
    assert_eq!(open(&emitter.seal(b"secret")).unwrap(), b"secret");
}

#[test]
fn the_default_label_may_be_spelled_out_and_null_parameters_left_out() {
    for encoding in [Encoding::Der, Encoding::KeyService] {
        for (label, null) in [(Some(&b""[..]), true), (Some(b""), false), (None, false)] {
            let mut emitter = emitter(encoding.clone());
            emitter.label = label;
            emitter.null_parameters = null;
            assert_eq!(open(&emitter.seal(b"secret")).unwrap(), b"secret");
        }
    }
}

#[test]
fn other_algorithms_are_refused_by_name() {
    let refused = |change: fn(&mut Emitter<'static>)| {
        let mut emitter = emitter(Encoding::KeyService);
        change(&mut emitter);
        open(&emitter.seal(b"secret")).unwrap_err()
    };
    let oid = |field, expected, found: &str| CmsError::ObjectIdentifier {
        field,
        expected,
        found: found.to_owned(),
    };
    assert_eq!(
        refused(|emitter| emitter.key_encryption = "1.2.840.113549.1.1.1"),
        oid("keyEncryptionAlgorithm", "id-RSAES-OAEP 1.2.840.113549.1.1.7", "1.2.840.113549.1.1.1")
    );
    assert_eq!(
        refused(|emitter| emitter.hash = "1.3.14.3.2.26"),
        oid("hashFunc", "id-sha256 2.16.840.1.101.3.4.2.1", "1.3.14.3.2.26")
    );
    assert_eq!(
        refused(|emitter| emitter.mask_hash = "1.3.14.3.2.26"),
        oid("maskGenFunc hash", "id-sha256 2.16.840.1.101.3.4.2.1", "1.3.14.3.2.26")
    );
    assert_eq!(
        refused(|emitter| emitter.content_encryption = "2.16.840.1.101.3.4.1.2"),
        oid("contentEncryptionAlgorithm", "id-aes256-CBC 2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.2")
    );
    assert_eq!(
        refused(|emitter| emitter.content_type = "1.2.840.113549.1.7.2"),
        oid("contentType", "id-envelopedData 1.2.840.113549.1.7.3", "1.2.840.113549.1.7.2")
    );
    assert_eq!(
        refused(|emitter| emitter.label = Some(b"label")),
        CmsError::Length { field: "pSourceFunc label", expected: 0, actual: 5 }
    );
}

#[test]
fn absent_oaep_parameters_mean_sha1_and_are_refused() {
    let mut emitter = emitter(Encoding::Der);
    emitter.oaep_parameters = false;
    assert_eq!(open(&emitter.seal(b"secret")).unwrap_err(), CmsError::Missing { field: "RSAES-OAEP-params" });
}

#[test]
fn an_envelope_for_another_key_names_both() {
    let other = RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap();
    let envelope = Emitter::new(other.spki_der(), Encoding::KeyService).seal(b"secret");
    assert_eq!(
        open(&envelope).unwrap_err(),
        CmsError::NotForThisKey {
            expected: hex::encode(KEY.key_identifier()),
            found: vec![hex::encode(other.key_identifier())],
        }
    );

    // A claim to be for this key does not help.
    let mut liar = Emitter::new(other.spki_der(), Encoding::KeyService);
    liar.rid = Rid::SubjectKeyIdentifier(KEY.key_identifier().to_vec());
    assert_eq!(open(&liar.seal(b"secret")).unwrap_err(), CmsError::UnwrapKey);
}

#[test]
fn our_recipient_is_found_among_several() {
    let mut emitter = emitter(Encoding::KeyService);
    emitter.foreign_recipients = 3;
    assert_eq!(open(&emitter.seal(b"secret")).unwrap(), b"secret");
    emitter.foreign_recipients = 8;
    assert_eq!(open(&emitter.seal(b"secret")).unwrap_err(), CmsError::TooManyRecipients { limit: 8 });
}

#[test]
fn versions_must_fit_the_identifier() {
    let mut emitter = emitter(Encoding::Der);
    emitter.recipient_version = Some(0);
    assert_eq!(
        open(&emitter.seal(b"secret")).unwrap_err(),
        CmsError::Version { field: "KeyTransRecipientInfo.version", expected: "2", found: "00".to_owned() }
    );
    emitter.rid = Rid::IssuerAndSerialNumber;
    emitter.recipient_version = Some(2);
    assert!(matches!(open(&emitter.seal(b"secret")).unwrap_err(), CmsError::Version { .. }));
}

#[test]
fn keys_and_contents_of_wrong_lengths_are_refused() {
    let mut short_key = emitter(Encoding::Der);
    short_key.content_encryption_key = vec![1; 16];
    assert_eq!(
        open(&short_key.seal(b"secret")).unwrap_err(),
        CmsError::Length { field: "content-encryption key", expected: 32, actual: 16 }
    );
    let mut emitter = emitter(Encoding::Der);
    for length in [0, 1, 15, 17, 31] {
        emitter.raw_content = Some(vec![0; length]);
        assert_eq!(open(&emitter.seal(b"")).unwrap_err(), CmsError::NotBlocks { actual: length });
    }
    emitter.raw_content = Some(vec![0; 32]);
    assert_eq!(open(&emitter.seal(b"")).unwrap_err(), CmsError::DecryptContent);
}

#[test]
fn an_oversize_envelope_is_not_looked_at() {
    let oversize = vec![0x30; MAX_ENVELOPE_BYTES + 1];
    assert_eq!(
        open(&oversize).unwrap_err(),
        CmsError::TooLong { limit: MAX_ENVELOPE_BYTES, actual: MAX_ENVELOPE_BYTES + 1 }
    );
}

#[test]
fn every_truncation_and_every_appended_byte_is_refused() {
    for encoding in [Encoding::KeyService, Encoding::Der] {
        let envelope = emitter(encoding).seal(&[7; 32]);
        for length in 0..envelope.len() {
            assert!(open(&envelope[..length]).is_err(), "{length} bytes opened");
        }
        for appended in [0x00, 0x05, 0x30] {
            let longer = [&envelope[..], &[appended]].concat();
            assert_eq!(
                open(&longer).unwrap_err(),
                CmsError::TrailingBytes { field: "ContentInfo", count: 1 }
            );
        }
    }
}

#[test]
fn no_altered_bit_outside_the_unauthenticated_content_goes_unnoticed() {
    for encoding in [Encoding::KeyService, Encoding::Der] {
        let plaintext = [7; 32];
        let emitter = emitter(encoding);
        let envelope = emitter.seal(&plaintext);
        let version_at = position(&envelope, &[0x02, 0x01, 0x02]) + 2;
        let iv_at = position(&envelope, &emitter.iv);
        let mut opened_after_a_flip = Vec::new();
        for byte in 0..iv_at {
            for bit in 0..8 {
                let mut altered = envelope.clone();
                altered[byte] ^= 1 << bit;
                if open(&altered).is_ok() {
                    opened_after_a_flip.push((byte, bit));
                }
            }
        }
        // EnvelopedData versions 0 and 3 are versions too, and say nothing about how to open it.
        assert_eq!(opened_after_a_flip, [(version_at, 0), (version_at, 1)]);
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).position(|window| window == needle).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_mixture_of_valid_encodings_opens(
        plaintext in prop::collection::vec(any::<u8>(), 0..2048),
        choices in prop::collection::vec(any::<u8>(), 1..64),
        by_issuer in any::<bool>(),
        label in any::<bool>(),
        null_parameters in any::<bool>(),
        foreign_recipients in 0_usize..3,
    ) {
        let mut emitter = emitter(Encoding::Mixed(choices));
        if by_issuer {
            emitter.rid = Rid::IssuerAndSerialNumber;
        }
        emitter.label = label.then_some(b"");
        emitter.null_parameters = null_parameters;
        emitter.foreign_recipients = foreign_recipients;
        prop_assert_eq!(open(&emitter.seal(&plaintext)).unwrap(), plaintext);
    }

    #[test]
    fn arbitrary_bytes_are_refused(input in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(open(&input).is_err());
    }

    #[test]
    fn arbitrary_splices_do_not_panic(
        at in any::<prop::sample::Index>(),
        removed in 0_usize..16,
        inserted in prop::collection::vec(any::<u8>(), 0..16),
        choices in prop::collection::vec(any::<u8>(), 1..16),
    ) {
        let mut envelope = emitter(Encoding::Mixed(choices)).seal(b"secret");
        let start = at.index(envelope.len());
        let end = (start + removed).min(envelope.len());
        envelope.splice(start..end, inserted);
        // Whether it opens depends on where the splice fell; what matters is that it returns.
        let _ = open(&envelope);
    }
}

#[test]
fn envelopes_of_openssl_open() {
    let testdata = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let read = |name: &str| std::fs::read(testdata.join(name)).unwrap();
    let key = RecipientKey::from_pkcs8_der(&read("openssl-recipient.key.pkcs8.der")).unwrap();
    for name in [
        "openssl-issuer-and-serial.cms.der",
        "openssl-subject-key-identifier.cms.der",
        "openssl-streamed.cms.ber",
    ] {
        let plaintext = open_enveloped_data(&read(name), &key).unwrap();
        assert_eq!(*plaintext, read("openssl-plaintext.bin"), "{name}");
    }
    assert_eq!(
        open_enveloped_data(&read("openssl-pkcs1v15.cms.der"), &key).unwrap_err().to_string(),
        "keyEncryptionAlgorithm: expected id-RSAES-OAEP 1.2.840.113549.1.1.7, found 1.2.840.113549.1.1.1"
    );
}

/// Recorded from AWS KMS. They may not be committed here, so their folder comes from outside.
#[test]
fn envelopes_recorded_from_key_services_open() {
    let Some(fixtures) = std::env::var_os("NITRO_KEY_BROKER_FIXTURES") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "fixtures not given: in CI, NITRO_KEY_BROKER_FIXTURES must name their folder"
        );
        eprintln!("fixtures not given: NITRO_KEY_BROKER_FIXTURES is unset, recorded envelopes not opened");
        return;
    };
    let cms = PathBuf::from(fixtures).join("cms");
    let read = |name: &str, suffix: &str| std::fs::read(cms.join(format!("{name}.{suffix}"))).unwrap();
    for name in ["edgebit-sdk-go-generatedatakey", "enclaver-decrypt-hello"] {
        let key = RecipientKey::from_pkcs8_der(&read(name, "key.pkcs8.der")).unwrap();
        let envelope = read(name, "cms.ber");
        assert_eq!(*open_enveloped_data(&envelope, &key).unwrap(), read(name, "plaintext.bin"), "{name}");
        assert!(matches!(open(&envelope).unwrap_err(), CmsError::NotForThisKey { .. }), "{name}");
    }
}
