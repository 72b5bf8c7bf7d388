//! Sealed files open again, and altered ones leave nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use enclave_sample::client::{DataKey, EncryptionContext};
use enclave_sample::envelope::{CHUNK_BYTES, EnvelopeError, Overwrite, SealedFile, seal_file};
use tempfile::TempDir;
use zeroize::Zeroizing;

const TAG_BYTES: usize = 16;

fn data_key() -> DataKey {
    DataKey {
        plaintext: Zeroizing::new((0..32).collect()),
        ciphertext_blob: b"blob".to_vec(),
        key_id: "arn:aws:kms:us-east-1:000000000000:key/k".to_owned(),
    }
}

fn context() -> EncryptionContext {
    EncryptionContext::from([("purpose".to_owned(), "test".to_owned())])
}

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        fs::write(self.path("plain"), plaintext).unwrap();
        seal_file(
            &self.path("plain"),
            &self.path("sealed"),
            Overwrite::Replace,
            &data_key(),
            &context(),
            &mut |_| (),
        )
        .unwrap();
        fs::read(self.path("sealed")).unwrap()
    }

    fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        fs::write(self.path("sealed"), sealed).unwrap();
        let path = self.path("sealed");
        SealedFile::read(&path)?.open_to(
            &self.path("opened"),
            Overwrite::Refuse,
            &data_key().plaintext,
            &mut |_| (),
        )?;
        let opened = fs::read(self.path("opened")).unwrap();
        fs::remove_file(self.path("opened")).unwrap();
        Ok(opened)
    }
}

#[test]
fn files_of_every_length_around_the_chunk_boundary_survive() {
    let files = Files::new();
    for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1]
    {
        let plaintext: Vec<u8> = (0..length).map(|position| (position % 251) as u8).collect();
        let sealed = files.seal(&plaintext);
        let chunks = length.div_ceil(CHUNK_BYTES).max(1);
        assert_eq!(sealed.len(), header_bytes(&sealed) + length + chunks * TAG_BYTES);
        assert_eq!(files.open(&sealed).unwrap(), plaintext, "{length} bytes");
    }
    assert_eq!(files.names(), ["plain", "sealed"]);
}

#[test]
fn the_format_is_the_documented_one() {
    let files = Files::new();
    let sealed = files.seal(b"plaintext");
    let header = &sealed[..header_bytes(&sealed)];
    assert!(header.starts_with(b"NKBFILE\x01\x00\x28arn:aws:kms:us-east-1:000000000000:key/k\x00\x04blob"));
    assert!(header[..header.len() - 7].ends_with(b"\x00\x01\x00\x07purpose\x00\x04test"));

    let mut nonce = [0; 12];
    nonce[..7].copy_from_slice(&header[header.len() - 7..]);
    nonce[11] = 1;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &data_key().plaintext).unwrap());
    let mut chunk = sealed[header.len()..].to_vec();
    let aad = Aad::from(digest(&SHA256, header));
    let opened = key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut chunk).unwrap();
    assert_eq!(opened, b"plaintext");
}

#[test]
fn the_header_tells_what_to_decrypt() {
    let files = Files::new();
    files.seal(b"plaintext");
    let path = files.path("sealed");
    let sealed = SealedFile::read(&path).unwrap();
    assert_eq!(sealed.header().key_id(), data_key().key_id);
    assert_eq!(sealed.header().ciphertext_blob(), data_key().ciphertext_blob);
    assert_eq!(*sealed.header().encryption_context(), context());
}

#[test]
fn every_altered_bit_is_noticed_and_nothing_is_left_behind() {
    let files = Files::new();
    let sealed = files.seal(b"plaintext");
    for byte in 0..sealed.len() {
        for bit in 0..8 {
            let mut altered = sealed.clone();
            altered[byte] ^= 1 << bit;
            assert!(files.open(&altered).is_err(), "byte {byte} bit {bit}");
            assert_eq!(files.names(), ["plain", "sealed"]);
        }
    }
}

#[test]
fn chunks_cannot_be_cut_off_dropped_repeated_or_reordered() {
    let files = Files::new();
    let sealed = files.seal(&vec![7; 3 * CHUNK_BYTES]);
    let header = header_bytes(&sealed);
    let full = CHUNK_BYTES + TAG_BYTES;
    let chunk = |number: usize| &sealed[header + number * full..header + (number + 1) * full];
    let rebuilt = |chunks: &[&[u8]]| files.open(&[&sealed[..header], &chunks.concat()].concat());

    assert!(rebuilt(&[chunk(0), chunk(1), chunk(2)]).is_ok());
    let altered_at = |result: Result<Vec<u8>, EnvelopeError>| match result.unwrap_err() {
        EnvelopeError::Altered { number } => number,
        other => panic!("{other}"),
    };
    assert_eq!(altered_at(rebuilt(&[chunk(0), chunk(1)])), 1);
    assert_eq!(altered_at(rebuilt(&[chunk(0)])), 0);
    assert_eq!(altered_at(rebuilt(&[])), 0);
    assert_eq!(altered_at(rebuilt(&[chunk(0), chunk(2)])), 1);
    assert_eq!(altered_at(rebuilt(&[chunk(1), chunk(0), chunk(2)])), 0);
    assert_eq!(altered_at(rebuilt(&[chunk(0), chunk(0), chunk(1), chunk(2)])), 1);
    assert_eq!(altered_at(rebuilt(&[chunk(0), chunk(1), chunk(2), b"more"])), 2);
    assert_eq!(altered_at(rebuilt(&[chunk(0), chunk(1), &chunk(2)[..full - 1]])), 2);
    assert_eq!(files.names(), ["plain", "sealed"]);
}

#[test]
fn chunks_of_another_file_under_the_same_key_do_not_fit() {
    let files = Files::new();
    let first = files.seal(b"plaintext");
    let second = files.seal(b"plaintext");
    let header = header_bytes(&first);
    assert_ne!(first[header..], second[header..]);
    let mixed = [&first[..header], &second[header..]].concat();
    assert!(matches!(files.open(&mixed).unwrap_err(), EnvelopeError::Altered { number: 0 }));
}

#[test]
fn the_wrong_data_key_is_refused() {
    let files = Files::new();
    files.seal(b"plaintext");
    let path = files.path("sealed");
    let open = |key: &[u8]| {
        SealedFile::read(&path)
            .unwrap()
            .open_to(&files.path("opened"), Overwrite::Refuse, key, &mut |_| ())
            .unwrap_err()
    };
    assert!(matches!(open(&[0; 32]), EnvelopeError::Altered { number: 0 }));
    assert!(matches!(open(&[0; 16]), EnvelopeError::DataKeyLength { expected: 32, actual: 16 }));
}

#[test]
fn an_existing_output_is_replaced_only_on_request() {
    let files = Files::new();
    files.seal(b"new");
    let (sealed, opened) = (files.path("sealed"), files.path("opened"));
    fs::write(&opened, b"old").unwrap();
    let open = |overwrite| {
        SealedFile::read(&sealed).unwrap().open_to(&opened, overwrite, &data_key().plaintext, &mut |_| ())
    };
    assert!(matches!(open(Overwrite::Refuse).unwrap_err(), EnvelopeError::Exists { .. }));
    assert_eq!(fs::read(&opened).unwrap(), b"old");
    open(Overwrite::Replace).unwrap();
    assert_eq!(fs::read(&opened).unwrap(), b"new");
    assert_eq!(fs::metadata(&opened).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(files.names(), ["opened", "plain", "sealed"]);
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let files = Files::new();
    let missing = files.path("missing");
    let seal = |input: &Path, output: &Path| {
        seal_file(input, output, Overwrite::Refuse, &data_key(), &context(), &mut |_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(seal(&missing, &files.path("out")).starts_with(&format!("cannot read {}", missing.display())));
    files.seal(b"plaintext");
    let beyond = files.path("no-such-directory/out");
    assert!(seal(&files.path("plain"), &beyond).starts_with("cannot write "));
    assert!(seal(&files.path("plain"), Path::new("/")).contains("not overwritten"));
}

fn header_bytes(sealed: &[u8]) -> usize {
    let needle = b"purpose\x00\x04test";
    sealed.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len() + 7
}
