//! A DER writer small enough to be wrong on purpose: it checks nothing, so a certificate can carry any defect.

use time::OffsetDateTime;

/// A tag-length-value with the shortest definite length.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    match significant.as_slice() {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// `[number]` around `content`, constructed.
pub fn context(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, content)
}

/// `[number]` in place of a primitive type's own tag.
pub fn context_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x80 | number, content)
}

pub fn boolean(value: bool) -> Vec<u8> {
    tlv(0x01, &[if value { 0xff } else { 0x00 }])
}

/// A non-negative INTEGER from its big-endian bytes.
pub fn integer(magnitude: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = magnitude.iter().copied().skip_while(|byte| *byte == 0).collect();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    tlv(0x02, &content)
}

pub fn octet_string(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

/// A BIT STRING of whole bytes.
pub fn bit_string(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

/// A BIT STRING whose last bit is unused and set all the same.
pub fn bit_string_with_padding(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[1], content, &[1]].concat())
}

/// The same tag-length-value, its two bytes of length written in three.
pub fn lengthen_length(der: &[u8]) -> Vec<u8> {
    assert_eq!(der[1], 0x82, "a length of two bytes");
    [&[der[0], 0x83, 0], &der[2..]].concat()
}

/// A named-bit list (X.680 §22.7): bit `n` of the list is `bits[n]`; trailing zero bits are left out, as DER wants.
pub fn named_bits(bits: &[bool]) -> Vec<u8> {
    let used = bits.iter().rposition(|bit| *bit).map_or(0, |last| last + 1);
    let mut bytes = vec![0u8; used.div_ceil(8)];
    for (n, _) in bits.iter().take(used).enumerate().filter(|(_, bit)| **bit) {
        bytes[n / 8] |= 0x80 >> (n % 8);
    }
    let unused = (8 - used % 8) % 8;
    tlv(0x03, &[&[unused as u8], bytes.as_slice()].concat())
}

pub fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

pub fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
        content.extend((0..groups).rev().map(|group| {
            let more = if group == 0 { 0 } else { 0x80 };
            more | (arc >> (7 * group) & 0x7f) as u8
        }));
    }
    tlv(0x06, &content)
}

pub fn utf8_string(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub fn printable_string(text: &str) -> Vec<u8> {
    tlv(0x13, text.as_bytes())
}

/// UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5).
pub fn time(unix_secs: i64) -> Vec<u8> {
    let t = OffsetDateTime::from_unix_timestamp(unix_secs).expect("a time within the calendar");
    let rest =
        format!("{:02}{:02}{:02}{:02}{:02}Z", t.month() as u8, t.day(), t.hour(), t.minute(), t.second());
    if t.year() < 2050 {
        tlv(0x17, format!("{:02}{rest}", t.year() % 100).as_bytes())
    } else {
        tlv(0x18, format!("{:04}{rest}", t.year()).as_bytes())
    }
}
