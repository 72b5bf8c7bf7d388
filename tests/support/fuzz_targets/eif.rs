//! Enclave images: as they come, and again with a right checksum, which the fuzzer would not find.

#[path = "../eif.rs"]
pub mod image;

use nitro_key_broker::eif::{EifError, Image, Reader, read};

use image::{measured_by_table, measured_in_sequence, set_crc};

pub fn run(input: &[u8]) {
    check(input);
    let mut mended = input.to_vec();
    set_crc(&mut mended);
    check(&mended);
}

/// Pieces make no difference, and what is accepted measures the same in both ways that published readers have.
fn check(bytes: &[u8]) {
    let result = read(bytes);
    assert_eq!(in_pieces(bytes), result);
    match result {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(image) => {
            let ours = &image.measurements;
            let ours = [ours.pcr0, ours.pcr1, ours.pcr2].map(Vec::from);
            assert_eq!(ours, measured_in_sequence(bytes));
            assert_eq!(ours, measured_by_table(bytes));
            assert_eq!(image.signature.is_some(), image.measurements.pcr8.is_some());
        }
    }
}

fn in_pieces(bytes: &[u8]) -> Result<Image, EifError> {
    let mut reader = Reader::new();
    for piece in bytes.chunks(1 + bytes.len() % 97) {
        reader.update(piece)?;
    }
    reader.finish()
}
