//! Is this the one DER encoding of its value (X.690 sections 8, 10 and 11)?
//!
//! Certificate parsers tolerate what no issuer writes: a length in more bytes than it needs, padding bits that are not
//! zero, an open end. Each is a second encoding of a certificate, so all are refused before a parser sees them.

/// Constructed values inside each other at most. A certificate of the Nitro attestation PKI nests seven deep.
const MAX_DEPTH: usize = 16;
/// Bytes of a length at most: four name more than any document holds.
const MAX_LENGTH_BYTES: usize = 4;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Bits of an identifier octet (X.690 section 8.1.2).
const CLASS_BITS: u8 = 0xc0;
const CONSTRUCTED_BIT: u8 = 0x20;
const HIGH_TAG_NUMBER: u8 = 0x1f;

/// Why bytes are not DER. `offset` counts from the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DerError {
    #[error("the value at byte {offset} is longer than what holds it")]
    UnexpectedEnd { offset: usize },
    #[error("{count} bytes follow the value that ends at byte {offset}")]
    TrailingBytes { offset: usize, count: usize },
    #[error("the length of the value at byte {offset} is not in its shortest form")]
    Length { offset: usize },
    #[error("the value at byte {offset} has a tag that no certificate has: {tag:#04x}")]
    Tag { offset: usize, tag: u8 },
    #[error("the {type_name} at byte {offset} is not in its one encoding")]
    Content { offset: usize, type_name: &'static str },
    #[error("the value at byte {offset} lies more than {MAX_DEPTH} deep")]
    Depth { offset: usize },
}

/// One tag-length-value, its content borrowed.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// Where the content starts in the whole input.
    content_offset: usize,
}

/// Requires that `input` is one value in DER and nothing else. Primitive values with a context-specific tag are opaque.
pub(super) fn check(input: &[u8]) -> Result<(), DerError> {
    let (value, rest) = read(input, 0)?;
    if !rest.is_empty() {
        return Err(DerError::TrailingBytes { offset: input.len() - rest.len(), count: rest.len() });
    }
    check_value(&value, 0, 0)
}

/// Requires that `input`, a DER BIT STRING, is a list of named bits without trailing zeros (X.690 section 11.2.2).
pub(super) fn check_named_bits(input: &[u8]) -> Result<(), DerError> {
    check(input)?;
    let (value, _) = read(input, 0)?;
    let last_used_bit = match value.content {
        [0] => return Ok(()),
        [unused, .., last] => last.checked_shr(u32::from(*unused)).unwrap_or_default() & 1,
        _ => 0,
    };
    if value.tag == BIT_STRING && last_used_bit == 1 {
        Ok(())
    } else {
        Err(DerError::Content { offset: 0, type_name: "list of named bits" })
    }
}

fn read(input: &[u8], offset: usize) -> Result<(Value<'_>, &[u8]), DerError> {
    let end = DerError::UnexpectedEnd { offset };
    let (tag, after_tag) = input.split_first().ok_or(end)?;
    if tag & HIGH_TAG_NUMBER == HIGH_TAG_NUMBER {
        return Err(DerError::Tag { offset, tag: *tag });
    }
    let (first, after_first) = after_tag.split_first().ok_or(end)?;
    let (length, after_length) = match *first {
        short @ 0..=0x7f => (usize::from(short), after_first),
        long => {
            let count = usize::from(long & 0x7f);
            // None at all is BER's open end.
            if !(1..=MAX_LENGTH_BYTES).contains(&count) {
                return Err(DerError::Length { offset });
            }
            let (digits, rest) = after_first.split_at_checked(count).ok_or(end)?;
            let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            if length < 0x80 || digits.first() == Some(&0) {
                return Err(DerError::Length { offset });
            }
            (length, rest)
        }
    };
    let content_offset = offset + input.len() - after_length.len();
    let (content, rest) = after_length.split_at_checked(length).ok_or(end)?;
    Ok((Value { tag: *tag, content, content_offset }, rest))
}

fn check_value(value: &Value<'_>, offset: usize, depth: usize) -> Result<(), DerError> {
    let is_universal = value.tag & CLASS_BITS == 0;
    let is_constructed = value.tag & CONSTRUCTED_BIT != 0;
    match (is_universal, is_constructed) {
        (true, true) if !matches!(value.tag, SEQUENCE | SET) => Err(DerError::Tag { offset, tag: value.tag }),
        (_, true) => check_parts(value, depth + 1),
        (true, false) => check_primitive(value, offset),
        (false, false) => Ok(()),
    }
}

fn check_parts(value: &Value<'_>, depth: usize) -> Result<(), DerError> {
    let mut rest = value.content;
    let mut offset = value.content_offset;
    if depth > MAX_DEPTH {
        return Err(DerError::Depth { offset });
    }
    while !rest.is_empty() {
        let (part, after) = read(rest, offset)?;
        check_value(&part, offset, depth)?;
        offset += rest.len() - after.len();
        rest = after;
    }
    Ok(())
}

fn check_primitive(value: &Value<'_>, offset: usize) -> Result<(), DerError> {
    let content = value.content;
    let (type_name, holds) = match value.tag {
        BOOLEAN => ("BOOLEAN", matches!(content, [0x00 | 0xff])),
        INTEGER | ENUMERATED => ("INTEGER", is_shortest_integer(content)),
        BIT_STRING => ("BIT STRING", is_padded_with_zeros(content)),
        NULL => ("NULL", content.is_empty()),
        OBJECT_IDENTIFIER => ("OBJECT IDENTIFIER", is_object_identifier(content)),
        UTF8_STRING => ("UTF8String", std::str::from_utf8(content).is_ok()),
        PRINTABLE_STRING => ("PrintableString", content.iter().copied().all(is_printable)),
        IA5_STRING => ("IA5String", content.is_ascii()),
        // A SEQUENCE or SET in primitive form.
        0x10 | 0x11 => return Err(DerError::Tag { offset, tag: value.tag }),
        _ => return Ok(()),
    };
    if holds { Ok(()) } else { Err(DerError::Content { offset, type_name }) }
}

/// X.690 section 8.3.2: the first nine bits are not all alike.
fn is_shortest_integer(content: &[u8]) -> bool {
    match content {
        [] => false,
        [0x00, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

/// X.690 sections 8.6.2 and 11.2.1.
fn is_padded_with_zeros(content: &[u8]) -> bool {
    match content {
        [0] => true,
        [unused @ 0..=7, .., last] => last & ((1_u8 << unused) - 1) == 0,
        _ => false,
    }
}

/// X.690 section 8.19.2: no arc starts with `80`, and the last one ends.
fn is_object_identifier(content: &[u8]) -> bool {
    let starts = [0_u8].iter().chain(content);
    let padded = starts.zip(content).any(|(before, byte)| before & 0x80 == 0 && *byte == 0x80);
    !padded && content.last().is_some_and(|last| last & 0x80 == 0)
}

/// X.680 section 41.4.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DerError, check, check_named_bits};

    #[test]
    fn the_one_encoding_of_a_value_passes() {
        for der in [
            &[0x01, 0x01, 0xff][..],
            &[0x02, 0x01, 0x00],
            &[0x02, 0x02, 0x00, 0x80],
            &[0x02, 0x01, 0x80],
            &[0x02, 0x02, 0xff, 0x7f],
            &[0x03, 0x01, 0x00],
            &[0x03, 0x02, 0x07, 0x80],
            &[0x05, 0x00],
            &[0x06, 0x03, 0x55, 0x1d, 0x0f],
            &[0x06, 0x03, 0x2a, 0x86, 0x48],
            &[0x13, 0x02, b'U', b'S'],
            &[0x30, 0x00],
            &[0x31, 0x02, 0x05, 0x00],
            // Opaque: whether it is an OCTET STRING or an INTEGER only the schema says.
            &[0x80, 0x02, 0x00, 0x00],
        ] {
            assert_eq!(check(der), Ok(()), "{der:02x?}");
        }
        // The least length that needs a byte of its own.
        assert_eq!(check(&[&[0x04, 0x81, 0x80][..], &[0; 0x80]].concat()), Ok(()));
    }

    #[test]
    fn a_second_encoding_is_refused() {
        let content = |type_name| DerError::Content { offset: 0, type_name };
        for (der, expected) in [
            (&[0x30, 0x81, 0x02, 0x05, 0x00][..], DerError::Length { offset: 0 }),
            (&[0x30, 0x80, 0x05, 0x00, 0x00, 0x00], DerError::Length { offset: 0 }),
            (&[0x30, 0x85, 0, 0, 0, 0, 0x02, 0x05, 0x00], DerError::Length { offset: 0 }),
            (&[0x01, 0x01, 0x01], content("BOOLEAN")),
            (&[0x02, 0x00], content("INTEGER")),
            (&[0x02, 0x02, 0x00, 0x7f], content("INTEGER")),
            (&[0x02, 0x02, 0xff, 0x80], content("INTEGER")),
            (&[0x03, 0x00], content("BIT STRING")),
            (&[0x03, 0x01, 0x01], content("BIT STRING")),
            (&[0x03, 0x02, 0x08, 0x00], content("BIT STRING")),
            (&[0x03, 0x02, 0x07, 0xc0], content("BIT STRING")),
            (&[0x05, 0x01, 0x00], content("NULL")),
            (&[0x06, 0x00], content("OBJECT IDENTIFIER")),
            (&[0x06, 0x02, 0x55, 0x9d], content("OBJECT IDENTIFIER")),
            (&[0x06, 0x03, 0x55, 0x80, 0x01], content("OBJECT IDENTIFIER")),
            (&[0x0c, 0x01, 0xff], content("UTF8String")),
            (&[0x13, 0x01, b'_'], content("PrintableString")),
            (&[0x16, 0x01, 0x80], content("IA5String")),
            (&[0x10, 0x00], DerError::Tag { offset: 0, tag: 0x10 }),
            (&[0x24, 0x02, 0x04, 0x00], DerError::Tag { offset: 0, tag: 0x24 }),
            (&[0x1f, 0x81, 0x00, 0x00], DerError::Tag { offset: 0, tag: 0x1f }),
            (
                &[0x30, 0x06, 0x02, 0x01, 0x00, 0x05, 0x01, 0x00],
                DerError::Content { offset: 5, type_name: "NULL" },
            ),
            (&[0x30, 0x03, 0x05, 0x00], DerError::UnexpectedEnd { offset: 0 }),
            (&[0x30, 0x03, 0x02, 0x02, 0x01], DerError::UnexpectedEnd { offset: 2 }),
            (&[0x05, 0x00, 0x00], DerError::TrailingBytes { offset: 2, count: 1 }),
            (&[], DerError::UnexpectedEnd { offset: 0 }),
        ] {
            assert_eq!(check(der), Err(expected), "{der:02x?}");
        }
    }

    #[test]
    fn named_bits_end_with_a_bit_that_is_set() {
        assert_eq!(check_named_bits(&[0x03, 0x02, 0x06, 0xc0]), Ok(()));
        assert_eq!(check_named_bits(&[0x03, 0x03, 0x07, 0x00, 0x80]), Ok(()));
        assert_eq!(check_named_bits(&[0x03, 0x01, 0x00]), Ok(()));
        let not_minimal = DerError::Content { offset: 0, type_name: "list of named bits" };
        for der in [
            &[0x03, 0x02, 0x00, 0x80][..],
            &[0x03, 0x02, 0x00, 0x00],
            &[0x03, 0x03, 0x00, 0x80, 0x00],
            &[0x04, 0x01, 0x01],
            &[0x05, 0x00],
        ] {
            assert_eq!(check_named_bits(der), Err(not_minimal), "{der:02x?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| {
            (0..depth)
                .fold(Vec::new(), |inner, _| [&[0x30, u8::try_from(inner.len()).unwrap()], &*inner].concat())
        };
        assert_eq!(check(&nested(16)), Ok(()));
        assert_eq!(check(&nested(17)), Err(DerError::Depth { offset: 34 }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = check(&input);
            let _ = check_named_bits(&input);
        }

        /// Behind a head that fits, so that the content is read.
        #[test]
        fn arbitrary_content_never_panics(tag in any::<u8>(), content in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = check(&[&[tag, u8::try_from(content.len()).unwrap()], &*content].concat());
        }
    }
}
