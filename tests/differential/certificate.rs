//! Other encodings of one certificate, most of which break nothing that is signed.

use x509_parser::der_parser::asn1_rs::{FromDer, Integer, Sequence};

use crate::signature;

/// A class and a certificate changed so.
pub fn changes(certificate: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let parts = Parts::of(certificate);
    let (r, s) = (&parts.r[..], &parts.s[..]);
    let signed_with = |signature: &[u8]| parts.encode(&parts.algorithm, &bit_string(0, signature));
    let own = signature::der(r, s);
    assert_eq!(signed_with(&own), certificate, "taken apart and put together");
    let padded = {
        let integer = signature::integer(r);
        let longer = [&[0x02, integer[1] + 1, 0x00], &integer[2..]].concat();
        sequence(&[&longer, &signature::integer(s)])
    };
    let algorithm_with_null = {
        let content = &parts.algorithm[2..];
        sequence(&[content, &[0x05, 0x00]])
    };
    vec![
        ("signature_other_s", signed_with(&signature::der(r, &signature::negated(s)))),
        ("signature_integer_padded", signed_with(&padded)),
        ("signature_trailing_byte", signed_with(&[&own[..], &[0]].concat())),
        ("signature_raw", signed_with(&[r, s].concat())),
        ("signature_unused_bits", parts.encode(&parts.algorithm, &bit_string(1, &own))),
        ("algorithm_with_null", parts.encode(&algorithm_with_null, &bit_string(0, &own))),
        ("trailing_byte", [certificate, &[0]].concat()),
        ("length_longer", longer_length(certificate)),
        ("of_indefinite_length", [&[0x30, 0x80], &certificate[4..], &[0, 0]].concat()),
        ("truncated", certificate[..certificate.len() - 1].to_vec()),
        ("twice", [certificate, certificate].concat()),
    ]
}

/// `Certificate` (RFC 5280 section 4.1).
struct Parts {
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    r: Vec<u8>,
    s: Vec<u8>,
}

impl Parts {
    fn of(certificate: &[u8]) -> Self {
        let (_, certificate) = Sequence::from_der(certificate).unwrap();
        let content = certificate.content.as_ref();
        let (tbs, content) = element(content);
        let (algorithm, signature) = element(content);
        // BIT STRING, its length in one byte or two, no unused bits.
        let start = if signature[1] & 0x80 == 0 { 3 } else { 4 };
        let (_, value) = Sequence::from_der(&signature[start..]).unwrap();
        let (rest, r) = Integer::from_der(value.content.as_ref()).unwrap();
        let (_, s) = Integer::from_der(rest).unwrap();
        Self { tbs: tbs.to_vec(), algorithm: algorithm.to_vec(), r: scalar(&r), s: scalar(&s) }
    }

    fn encode(&self, algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
        sequence(&[&self.tbs, algorithm, signature])
    }
}

fn scalar(integer: &Integer<'_>) -> Vec<u8> {
    let bytes = integer.as_ref();
    let start = bytes.len().saturating_sub(signature::SCALAR_LEN);
    let mut scalar = vec![0; signature::SCALAR_LEN.saturating_sub(bytes.len())];
    scalar.extend(&bytes[start..]);
    scalar
}

/// The first element and what follows it.
fn element(content: &[u8]) -> (&[u8], &[u8]) {
    let (rest, _) = Sequence::from_der(content).unwrap();
    content.split_at(content.len() - rest.len())
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

fn bit_string(unused_bits: u8, content: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[unused_bits], content].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

/// The outermost length in a byte more than it needs.
fn longer_length(certificate: &[u8]) -> Vec<u8> {
    assert_eq!(certificate[..2], [0x30, 0x82]);
    [&[0x30, 0x83, 0x00], &certificate[2..]].concat()
}
