//! Simulated documents have the form of recorded ones: envelope, payload, and each certificate level.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use enclave_sample::nsm::simulated::{
    DevelopmentRoot, PCR_BYTES, SimulatedClock, SimulatedEnclave, SimulatedNsm, SimulatedNsmError,
};
use enclave_sample::nsm::{AttestationRequest, Nsm};
use minicbor::Decoder;
use minicbor::data::Type;

/// 2026-01-03T20:41:07.123Z.
fn moment() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_767_472_867_123)
}

fn nsm(enclave: SimulatedEnclave) -> SimulatedNsm {
    let root = DevelopmentRoot::generate(moment() - Duration::from_hours(24 * 30)).unwrap();
    SimulatedNsm::new(Arc::new(root), enclave, SimulatedClock::Fixed(moment())).unwrap()
}

struct Document {
    protected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    keys: Vec<String>,
    module_id: String,
    timestamp_ms: u64,
    pcrs: BTreeMap<u64, Vec<u8>>,
    certificate: Vec<u8>,
    cabundle: Vec<Vec<u8>>,
    optional: BTreeMap<String, Option<Vec<u8>>>,
}

fn decode(document: &[u8]) -> Document {
    let mut cose = Decoder::new(document);
    assert_eq!(cose.array().unwrap(), Some(4));
    let protected = cose.bytes().unwrap().to_vec();
    assert_eq!(cose.map().unwrap(), Some(0));
    let payload = cose.bytes().unwrap().to_vec();
    let signature = cose.bytes().unwrap().to_vec();
    assert_eq!(cose.position(), document.len());

    let mut decoded = Document {
        protected,
        payload: payload.clone(),
        signature,
        keys: Vec::new(),
        module_id: String::new(),
        timestamp_ms: 0,
        pcrs: BTreeMap::new(),
        certificate: Vec::new(),
        cabundle: Vec::new(),
        optional: BTreeMap::new(),
    };
    let mut map = Decoder::new(&payload);
    assert_eq!(map.map().unwrap(), None, "current hardware writes an indefinite-length map");
    while map.datatype().unwrap() != Type::Break {
        let key = map.str().unwrap().to_owned();
        match key.as_str() {
            "module_id" => decoded.module_id = map.str().unwrap().to_owned(),
            "digest" => assert_eq!(map.str().unwrap(), "SHA384"),
            "timestamp" => decoded.timestamp_ms = map.u64().unwrap(),
            "pcrs" => {
                for _ in 0..map.map().unwrap().unwrap() {
                    decoded.pcrs.insert(map.u64().unwrap(), map.bytes().unwrap().to_vec());
                }
            }
            "certificate" => decoded.certificate = map.bytes().unwrap().to_vec(),
            "cabundle" => {
                for _ in 0..map.array().unwrap().unwrap() {
                    decoded.cabundle.push(map.bytes().unwrap().to_vec());
                }
            }
            _ => {
                let value = match map.datatype().unwrap() {
                    Type::Null => map.null().map(|()| None).unwrap(),
                    _ => Some(map.bytes().unwrap().to_vec()),
                };
                decoded.optional.insert(key.clone(), value);
            }
        }
        decoded.keys.push(key);
    }
    assert_eq!(map.position() + 1, payload.len());
    decoded
}

#[test]
fn the_envelope_and_payload_are_those_of_current_hardware() {
    let bytes = nsm(SimulatedEnclave::default())
        .attestation_document(&AttestationRequest::with_public_key(b"spki"))
        .unwrap();
    assert_eq!(bytes[..9], [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59, bytes[8]]);
    assert!((4_000..6_000).contains(&bytes.len()), "{} bytes", bytes.len());

    let document = decode(&bytes);
    assert_eq!(document.protected, [0xa1, 0x01, 0x38, 0x22]);
    assert_eq!(document.signature.len(), 96);
    assert_eq!(
        document.keys,
        [
            "module_id",
            "digest",
            "timestamp",
            "pcrs",
            "certificate",
            "cabundle",
            "public_key",
            "user_data",
            "nonce"
        ]
    );
    assert_eq!(document.module_id, "i-0123456789abcdef0-enc0123456789abcdef");
    assert_eq!(document.timestamp_ms, 1_767_472_867_123);
    assert_eq!(document.optional["public_key"].as_deref(), Some(&b"spki"[..]));
    assert_eq!(document.optional["user_data"], None);
    assert_eq!(document.optional["nonce"], None);
    assert_eq!(document.pcrs.len(), 16);
    assert!(document.pcrs.values().all(|value| value.len() == PCR_BYTES));
}

#[test]
fn the_leaf_signs_the_sig_structure_and_each_level_signs_the_next() {
    let document = decode(&nsm(SimulatedEnclave::default()).attest(&AttestationRequest::default()).unwrap());
    let mut to_be_signed = minicbor::Encoder::new(Vec::new());
    to_be_signed.array(4).unwrap().str("Signature1").unwrap();
    to_be_signed.bytes(&document.protected).unwrap().bytes(&[]).unwrap().bytes(&document.payload).unwrap();
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key(&document.certificate))
        .verify(to_be_signed.writer(), &document.signature)
        .unwrap();

    let mut path = document.cabundle.clone();
    path.push(document.certificate);
    assert_eq!(path.len(), 5);
    assert_eq!(certificate_signed_by(&path[0], &path[0]), Ok(()));
    for pair in path.windows(2) {
        assert_eq!(certificate_signed_by(&pair[1], &pair[0]), Ok(()));
        assert!(certificate_signed_by(&pair[0], &pair[1]).is_err());
    }
}

#[test]
fn each_level_has_its_own_names_validity_and_extensions() {
    let document = decode(&nsm(SimulatedEnclave::default()).attest(&AttestationRequest::default()).unwrap());
    let levels: Vec<Level> =
        document.cabundle.iter().chain([&document.certificate]).map(|der| Level::read(der)).collect();

    let subject_rdns: Vec<&[u8]> = levels.iter().map(|level| level.subject_rdns.as_slice()).collect();
    // The last arc of each RDN's attribute type: 3 CN, 6 C, 7 L, 8 ST, 10 O, 11 OU.
    assert_eq!(
        subject_rdns,
        [
            &[6, 10, 11, 3][..],
            &[6, 10, 11, 3],
            &[3, 11, 10, 6, 8, 7],
            &[6, 8, 7, 10, 11, 3],
            &[6, 8, 7, 10, 11, 3]
        ]
    );
    let hours: Vec<u64> = levels.iter().map(|level| level.validity_secs / 3600).collect();
    assert_eq!(hours, [10_958 * 24 + 1, 20 * 24 + 1, 5 * 24 + 18, 24, 3]);
    assert_eq!(levels[4].validity_secs, 3 * 3600 + 3);

    // (last arc of the extension's id, critical): 14 SKI, 15 keyUsage, 19 basicConstraints, 31 CRL, 35 AKI.
    let intermediate = [(19, true), (35, false), (14, false), (15, true), (31, false)];
    assert_eq!(levels[0].extension_kinds(), [(19, true), (14, false), (15, true)]);
    assert_eq!(levels[1].extension_kinds(), intermediate);
    assert_eq!(levels[2].extension_kinds(), intermediate);
    assert_eq!(levels[3].extension_kinds(), [(19, true), (15, true), (14, false), (35, false)]);
    assert_eq!(levels[4].extension_kinds(), [(19, true), (15, false)]);

    let constraints: Vec<&[u8]> = levels.iter().map(|level| level.extension(19)).collect();
    assert_eq!(
        constraints,
        [
            &[0x30, 3, 1, 1, 0xff][..],
            &[0x30, 6, 1, 1, 0xff, 2, 1, 2],
            &[0x30, 6, 1, 1, 0xff, 2, 1, 1],
            &[0x30, 6, 1, 1, 0xff, 2, 1, 0],
            &[0x30, 0]
        ]
    );
    let usages: Vec<&[u8]> = levels.iter().map(|level| level.extension(15)).collect();
    let authority = &[3, 2, 1, 0x86][..];
    assert_eq!(usages, [authority, authority, authority, &[3, 2, 2, 0x04], &[3, 2, 6, 0xc0]]);
    for (issuer, subject) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(levels[subject].extension(35)[4..], levels[issuer].extension(14)[2..]);
    }
}

#[test]
fn measurements_follow_the_options() {
    let enclave = SimulatedEnclave::default().with_pcr(0, [7; PCR_BYTES]).with_pcr(16, [9; PCR_BYTES]);
    let document = decode(&nsm(enclave.clone()).attest(&AttestationRequest::default()).unwrap());
    assert_eq!(document.pcrs[&0], [7; PCR_BYTES]);
    assert_eq!(document.pcrs[&16], [9; PCR_BYTES]);
    assert_ne!(document.pcrs[&1], [0; PCR_BYTES]);
    assert_eq!(document.pcrs[&3], [0; PCR_BYTES]);
    // SHA-384 of 48 zero bytes and `i-0123456789abcdef0`.
    assert_eq!(
        hex::encode(&document.pcrs[&4]),
        "d6432900ac1c343cb40286898792c55e962aef0cc35c4910c0c286145b51af19e782cb21cc31a042671d7dfbd398251c"
    );

    let debug = decode(&nsm(enclave.in_debug_mode()).attest(&AttestationRequest::default()).unwrap());
    for index in 0..3 {
        assert_eq!(debug.pcrs[&index], [0; PCR_BYTES]);
    }
    assert_eq!(debug.pcrs[&4], document.pcrs[&4]);
    assert_eq!(debug.pcrs[&16], document.pcrs[&16]);
}

#[test]
fn the_leaf_is_reused_for_hours_and_then_replaced() {
    let nsm = nsm(SimulatedEnclave::default());
    let leaf_at = |at| decode(&nsm.attest_at(&AttestationRequest::default(), at).unwrap()).certificate;
    let first = leaf_at(moment());
    assert_eq!(leaf_at(moment() + Duration::from_hours(2)), first);
    let second = leaf_at(moment() + Duration::from_hours(3));
    assert_ne!(second, first);
    assert_ne!(leaf_at(moment() - Duration::from_hours(1)), second);
}

#[test]
fn a_clock_set_back_makes_old_documents() {
    let root = Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap());
    let clock = SimulatedClock::Behind(Duration::from_hours(1));
    let nsm = SimulatedNsm::new(root, SimulatedEnclave::default(), clock).unwrap();
    let document = decode(&nsm.attest(&AttestationRequest::default()).unwrap());
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let age_ms = now_ms - document.timestamp_ms;
    assert!((3_600_000..3_660_000).contains(&age_ms), "{age_ms}");
}

#[test]
fn what_no_document_can_carry_is_refused() {
    let root = Arc::new(DevelopmentRoot::generate(moment()).unwrap());
    let refused = |enclave| {
        SimulatedNsm::new(Arc::clone(&root), enclave, SimulatedClock::System).map(|_| ()).unwrap_err()
    };
    let enclave = SimulatedEnclave::default;
    assert_eq!(refused(enclave().with_pcr(32, [0; PCR_BYTES])), SimulatedNsmError::PcrIndex(32));
    let instance_id = "i-0123456789ABCDEF0".to_owned();
    assert_eq!(
        refused(SimulatedEnclave { instance_id: instance_id.clone(), ..enclave() }),
        SimulatedNsmError::InstanceId(instance_id)
    );
    assert_eq!(
        refused(SimulatedEnclave { region: String::new(), ..enclave() }),
        SimulatedNsmError::Region(String::new())
    );
    let nsm = SimulatedNsm::new(root, enclave(), SimulatedClock::System).unwrap();
    assert_eq!(nsm.attest_at(&AttestationRequest::default(), UNIX_EPOCH), Err(SimulatedNsmError::Time));
}

/// What the tests read of a certificate, with a DER reader that knows only what it expects.
struct Level {
    subject_rdns: Vec<u8>,
    validity_secs: u64,
    extensions: Vec<(u8, bool, Vec<u8>)>,
}

impl Level {
    fn read(certificate: &[u8]) -> Self {
        let tbs = elements(elements(certificate)[0].content)[0].content;
        let fields = elements(tbs);
        assert_eq!(fields[0].content, [2, 1, 2], "version 3");
        assert_eq!(fields[2].content, ECDSA_WITH_SHA384);
        let subject_rdns = elements(fields[5].content)
            .iter()
            .map(|rdn| {
                let attribute = elements(elements(rdn.content)[0].content);
                let kind = attribute[0].content[2];
                assert_eq!(
                    attribute[1].tag,
                    if kind == 6 { 0x13 } else { 0x0c },
                    "string type of 2.5.4.{kind}"
                );
                kind
            })
            .collect();
        let validity: Vec<u64> = elements(fields[4].content).iter().map(|field| unix_secs(field)).collect();
        let extensions = elements(elements(fields[7].content)[0].content)
            .iter()
            .map(|extension| {
                let parts = elements(extension.content);
                let value = parts.last().unwrap().content.to_vec();
                (parts[0].content[2], parts.len() == 3, value)
            })
            .collect();
        Self { subject_rdns, validity_secs: validity[1] - validity[0], extensions }
    }

    fn extension_kinds(&self) -> Vec<(u8, bool)> {
        self.extensions.iter().map(|(kind, critical, _)| (*kind, *critical)).collect()
    }

    fn extension(&self, kind: u8) -> &[u8] {
        &self.extensions.iter().find(|extension| extension.0 == kind).unwrap().2
    }
}

const ECDSA_WITH_SHA384: [u8; 10] = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

fn elements(mut input: &[u8]) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let (header, length) = match input[1] {
            short @ ..=0x7f => (2, usize::from(short)),
            0x81 => (3, usize::from(input[2])),
            0x82 => (4, usize::from(u16::from_be_bytes([input[2], input[3]]))),
            other => panic!("length form {other:#x}"),
        };
        let (whole, rest) = input.split_at(header + length);
        found.push(Element { tag: whole[0], content: &whole[header..], whole });
        input = rest;
    }
    found
}

fn public_key(certificate: &[u8]) -> Vec<u8> {
    let tbs = elements(elements(certificate)[0].content)[0].content;
    let bit_string = elements(elements(tbs)[6].content)[1].content;
    bit_string[1..].to_vec()
}

fn certificate_signed_by(certificate: &[u8], issuer: &[u8]) -> Result<(), aws_lc_rs::error::Unspecified> {
    let parts = elements(elements(certificate)[0].content);
    let signature = &parts[2].content[1..];
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, public_key(issuer)).verify(parts[0].whole, signature)
}

/// UTCTime before 2050, GeneralizedTime from then on (RFC 5280, section 4.1.2.5).
fn unix_secs(field: &Element<'_>) -> u64 {
    let text = std::str::from_utf8(field.content).unwrap();
    let text = match field.tag {
        0x17 => format!("20{text}"),
        0x18 => text.to_owned(),
        other => panic!("a time with tag {other:#x}"),
    };
    let number = |from: usize, to: usize| text[from..to].parse::<u16>().unwrap();
    let two = |from: usize| u8::try_from(number(from, from + 2)).unwrap();
    let year = number(0, 4);
    assert_eq!(field.tag, if year < 2050 { 0x17 } else { 0x18 });
    let month = time::Month::try_from(two(4)).unwrap();
    let date = time::Date::from_calendar_date(i32::from(year), month, two(6)).unwrap();
    let moment = date.with_hms(two(8), two(10), two(12)).unwrap().assume_utc();
    moment.unix_timestamp().try_into().unwrap()
}
