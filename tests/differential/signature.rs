//! ECDSA signatures on P-384 as numbers.

/// Bytes of `r` and of `s`.
pub const SCALAR_LEN: usize = 48;

/// The order of P-384's group (SP 800-186 section 3.2.1.4).
pub const ORDER: [u8; SCALAR_LEN] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a,
    0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The order less `scalar`: with it in place of `s`, a signature holds as it did.
pub fn negated(scalar: &[u8]) -> [u8; SCALAR_LEN] {
    let mut difference = ORDER;
    let mut borrow = false;
    for (digit, subtrahend) in difference.iter_mut().zip(scalar).rev() {
        let (once, below) = digit.overflowing_sub(*subtrahend);
        let (twice, below_again) = once.overflowing_sub(u8::from(borrow));
        *digit = twice;
        borrow = below || below_again;
    }
    assert!(!borrow, "the scalar is below the order");
    difference
}

/// `ECDSA-Sig-Value` (RFC 3279 section 2.2.3).
pub fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let content = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(content.len()).unwrap()], &content[..]].concat()
}

/// A DER INTEGER of this unsigned value.
pub fn integer(value: &[u8]) -> Vec<u8> {
    let leading_zeros = value.iter().take_while(|byte| **byte == 0).count();
    let mut content = value[leading_zeros.min(value.len() - 1)..].to_vec();
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    [&[0x02, u8::try_from(content.len()).unwrap()], &content[..]].concat()
}
