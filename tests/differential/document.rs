//! Where things stand in a document, found by minicbor alone, and the same things written in other ways.

use std::ops::Range;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// A document taken apart. Ranges count from the start of the document.
#[derive(Clone)]
pub struct Document {
    pub bytes: Vec<u8>,
    pub payload: Range<usize>,
    pub signature: Range<usize>,
    /// Whether the payload is a map of indefinite length.
    pub indefinite: bool,
    /// Each field's name and its value as encoded.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The content of each certificate, root first, the leaf last.
    pub certificate_ranges: Vec<Range<usize>>,
}

impl Document {
    /// A recorded document, which is well-formed.
    pub fn read(bytes: &[u8]) -> Self {
        let mut decoder = Decoder::new(bytes);
        decoder.array().unwrap();
        decoder.skip().unwrap();
        decoder.skip().unwrap();
        let payload = content(&mut decoder);
        let signature = content(&mut decoder);
        assert_eq!(signature.end, bytes.len());

        let mut decoder = Decoder::new(&bytes[..payload.end]);
        decoder.set_position(payload.start);
        let count = decoder.map().unwrap();
        let mut fields = Vec::new();
        let mut leaf = None;
        let mut certificate_ranges = Vec::new();
        while count
            .map_or_else(|| decoder.datatype().unwrap() != Type::Break, |count| (fields.len() as u64) < count)
        {
            let name = decoder.str().unwrap().to_owned();
            let start = decoder.position();
            match name.as_str() {
                "certificate" => leaf = Some(content(&mut decoder)),
                "cabundle" => {
                    let certificates = decoder.array().unwrap().unwrap();
                    certificate_ranges.extend((0..certificates).map(|_| content(&mut decoder)));
                }
                _ => decoder.skip().unwrap(),
            }
            fields.push((name, bytes[start..decoder.position()].to_vec()));
        }
        certificate_ranges.extend(leaf);
        Self {
            bytes: bytes.to_vec(),
            payload,
            signature,
            indefinite: count.is_none(),
            fields,
            certificate_ranges,
        }
    }

    pub fn certificates(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.certificate_ranges.iter().map(|range| &self.bytes[range.clone()])
    }

    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    pub fn signature(&self) -> &[u8] {
        &self.bytes[self.signature.clone()]
    }

    /// The document with these fields in place of its own, under the signature of the others.
    pub fn with_fields(&self, fields: &[(String, Vec<u8>)]) -> Vec<u8> {
        self.with_payload(&map(fields, self.indefinite))
    }

    /// The document with the value of one field replaced.
    pub fn with_field(&self, name: &str, value: &[u8]) -> Vec<u8> {
        let mut fields = self.fields.clone();
        fields.iter_mut().find(|(found, _)| found == name).unwrap().1 = value.to_vec();
        self.with_fields(&fields)
    }

    /// The document with another chain, root first, the leaf last.
    pub fn with_certificates(&self, certificates: &[&[u8]]) -> Vec<u8> {
        let (leaf, bundle) = certificates.split_last().unwrap();
        let mut fields = self.fields.clone();
        for (name, value) in &mut fields {
            match name.as_str() {
                "certificate" => *value = byte_string(leaf),
                "cabundle" => *value = array(bundle.iter().map(|der| byte_string(der))),
                _ => {}
            }
        }
        self.with_fields(&fields)
    }

    pub fn with_payload(&self, payload: &[u8]) -> Vec<u8> {
        envelope(&byte_string(payload), &byte_string(self.signature()))
    }

    pub fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        envelope(&byte_string(self.payload()), &byte_string(signature))
    }
}

/// The content of the byte string that stands next.
fn content(decoder: &mut Decoder<'_>) -> Range<usize> {
    let length = decoder.bytes().unwrap().len();
    decoder.position() - length..decoder.position()
}

/// A COSE_Sign1 of the usual headers around an encoded payload and signature.
pub fn envelope(payload: &[u8], signature: &[u8]) -> Vec<u8> {
    [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0], payload, signature].concat()
}

pub fn map(fields: &[(String, Vec<u8>)], indefinite: bool) -> Vec<u8> {
    let mut encoded = if indefinite { vec![0xbf] } else { head(5, fields.len() as u64) };
    for (name, value) in fields {
        encoded.extend(text_string(name));
        encoded.extend(value);
    }
    if indefinite {
        encoded.push(0xff);
    }
    encoded
}

pub fn array(items: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoded = head(4, items.len() as u64);
    encoded.extend(items.flatten());
    encoded
}

pub fn byte_string(content: &[u8]) -> Vec<u8> {
    minicbor::to_vec(minicbor::bytes::ByteVec::from(content.to_vec())).unwrap()
}

pub fn text_string(content: &str) -> Vec<u8> {
    minicbor::to_vec(content).unwrap()
}

/// The shortest head of an item (RFC 8949 section 3).
fn head(major: u8, argument: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut encoder = Encoder::new(&mut encoded);
    match major {
        4 => encoder.array(argument).unwrap(),
        5 => encoder.map(argument).unwrap(),
        other => unreachable!("major type {other}"),
    };
    encoded
}

/// An item whose head is made as long as it can be.
pub fn with_longest_head(item: &[u8]) -> Vec<u8> {
    let (major, info) = (item[0] & 0xe0, item[0] & 0x1f);
    let (argument, content) = match info {
        0..=23 => (u64::from(info), &item[1..]),
        24..=27 => {
            let length = 1 << (info - 24);
            let argument = item[1..=length].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            (argument, &item[1 + length..])
        }
        other => panic!("no argument: {other}"),
    };
    [&[major | 27], &argument.to_be_bytes()[..], content].concat()
}

/// A byte string in two chunks (RFC 8949 section 3.2.3).
pub fn in_chunks(content: &[u8]) -> Vec<u8> {
    let (first, second) = content.split_at(content.len() / 2);
    [&[0x5f], &byte_string(first)[..], &byte_string(second), &[0xff]].concat()
}
