//! The chunks of a sealed file.

use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use zeroize::Zeroizing;

use super::DATA_KEY_BYTES;
use super::error::EnvelopeError;
use super::header::Header;
use super::output::PendingFile;

/// The plaintext of a full chunk, in bytes.
pub const CHUNK_BYTES: usize = 64 * 1024;

pub(super) const NONCE_PREFIX_BYTES: usize = 7;
const TAG_BYTES: usize = 16;

/// Whether a chunk ends the file; part of its nonce.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Inner = 0,
    Last = 1,
}

/// A data key bound to one file's header.
pub(super) struct Cipher {
    key: LessSafeKey,
    nonce_prefix: [u8; NONCE_PREFIX_BYTES],
    header_digest: [u8; SHA256_OUTPUT_LEN],
}

impl Cipher {
    pub(super) fn new(data_key: &[u8], header: &Header) -> Result<Self, EnvelopeError> {
        let key = UnboundKey::new(&AES_256_GCM, data_key)
            .map_err(|_| EnvelopeError::DataKeyLength { expected: DATA_KEY_BYTES, actual: data_key.len() })?;
        let mut header_digest = [0; SHA256_OUTPUT_LEN];
        header_digest.copy_from_slice(digest(&SHA256, header.as_bytes()).as_ref());
        Ok(Self { key: LessSafeKey::new(key), nonce_prefix: *header.nonce_prefix(), header_digest })
    }

    /// Replaces the plaintext in `chunk` with ciphertext and tag.
    fn seal(&self, chunk: &mut Vec<u8>, number: u32, position: Position) -> Result<(), EnvelopeError> {
        self.key
            .seal_in_place_append_tag(self.nonce(number, position), Aad::from(&self.header_digest), chunk)
            .map_err(|_| EnvelopeError::Cryptography)
    }

    /// Replaces ciphertext and tag in `chunk` with the plaintext.
    fn open(&self, chunk: &mut Vec<u8>, number: u32, position: Position) -> Result<(), EnvelopeError> {
        let length = self
            .key
            .open_in_place(self.nonce(number, position), Aad::from(&self.header_digest), chunk)
            .map_err(|_| EnvelopeError::Altered { number })?
            .len();
        chunk.truncate(length);
        Ok(())
    }

    fn nonce(&self, number: u32, position: Position) -> Nonce {
        let [p0, p1, p2, p3, p4, p5, p6] = self.nonce_prefix;
        let [n0, n1, n2, n3] = number.to_be_bytes();
        Nonce::assume_unique_for_key([p0, p1, p2, p3, p4, p5, p6, n0, n1, n2, n3, position as u8])
    }
}

/// Seals everything that `reader` gives. `path` is named in errors.
pub(super) fn seal(
    cipher: &Cipher,
    reader: &mut impl Read,
    path: &Path,
    output: &mut PendingFile<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), EnvelopeError> {
    let mut chunks = Chunks::new(reader, CHUNK_BYTES);
    while let Some((mut chunk, number, position)) = chunks.next(path)? {
        let plaintext_bytes = chunk.len() as u64;
        cipher.seal(&mut chunk, number, position)?;
        output.write_all(&chunk)?;
        progress(bytes_before(number) + plaintext_bytes);
    }
    Ok(())
}

/// Opens every chunk that `reader` gives; each is authentic before it is written.
pub(super) fn open(
    cipher: &Cipher,
    reader: &mut impl Read,
    path: &Path,
    output: &mut PendingFile<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), EnvelopeError> {
    let mut chunks = Chunks::new(reader, CHUNK_BYTES + TAG_BYTES);
    while let Some((mut chunk, number, position)) = chunks.next(path)? {
        cipher.open(&mut chunk, number, position)?;
        // Sealing never leaves an empty chunk after a full one, so neither is one taken.
        if chunk.is_empty() && number > 0 {
            return Err(EnvelopeError::Altered { number });
        }
        output.write_all(&chunk)?;
        progress(bytes_before(number) + chunk.len() as u64);
    }
    Ok(())
}

/// The bytes of plaintext in the chunks before this one: at most 256 TiB.
fn bytes_before(number: u32) -> u64 {
    u64::from(number) * CHUNK_BYTES as u64
}

/// Cuts a reader into chunks and knows which is the last, by reading one ahead. There is always a last, be it empty.
struct Chunks<'a, R> {
    reader: &'a mut R,
    chunk_bytes: usize,
    ahead: Option<Zeroizing<Vec<u8>>>,
    next_number: Option<u32>,
    is_done: bool,
}

impl<'a, R: Read> Chunks<'a, R> {
    fn new(reader: &'a mut R, chunk_bytes: usize) -> Self {
        Self { reader, chunk_bytes, ahead: None, next_number: Some(0), is_done: false }
    }

    #[expect(
        clippy::type_complexity,
        reason = "a chunk, its number and its position have no name of their own"
    )]
    fn next(&mut self, path: &Path) -> Result<Option<(Zeroizing<Vec<u8>>, u32, Position)>, EnvelopeError> {
        if self.is_done {
            return Ok(None);
        }
        let chunk = match self.ahead.take() {
            Some(chunk) => chunk,
            None => self.read(path)?,
        };
        let following = if chunk.len() < self.chunk_bytes { None } else { Some(self.read(path)?) };
        self.ahead = following.filter(|following| !following.is_empty());
        let number = self.next_number.ok_or(EnvelopeError::TooLong)?;
        self.next_number = number.checked_add(1);
        self.is_done = self.ahead.is_none();
        Ok(Some((chunk, number, if self.is_done { Position::Last } else { Position::Inner })))
    }

    fn read(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        // With room for a tag, so that sealing in place does not move the plaintext.
        let mut chunk = Zeroizing::new(Vec::with_capacity(self.chunk_bytes + TAG_BYTES));
        let limit = u64::try_from(self.chunk_bytes).unwrap_or(u64::MAX);
        let read: io::Result<usize> = self.reader.by_ref().take(limit).read_to_end(&mut chunk);
        read.map_err(|source| EnvelopeError::read(path, source))?;
        Ok(chunk)
    }
}
