//! Files sealed under a data key of their own, with the data key's `CiphertextBlob` in the header.
//!
//! ```text
//! file     = header, chunk*, last chunk
//! header   = "NKBFILE" 01                     magic, format version
//!            u16 key id, u16 CiphertextBlob    each a big-endian length and that many bytes
//!            u16 number of pairs, (u16 key, u16 value)*   encryption context, keys strictly ascending
//!            nonce prefix (7 bytes)
//! chunk    = AES-256-GCM of 65,536 bytes and its 16-byte tag; the last has 0 to 65,536 bytes
//! nonce    = prefix, u32 number of the chunk, 01 if it is the last, else 00
//! aad      = SHA-256 of the header
//! ```
//!
//! This is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): chunks cannot be dropped, repeated,
//! reordered or cut off unnoticed. The header is authenticated with each chunk; the encryption context stands in it in
//! the clear, as it does in every request and audit record, and is given again when the data key is decrypted.
//!
//! Output appears under its name only when it is complete and authentic.

mod error;
mod header;
mod output;
mod stream;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use aws_lc_rs::rand;

pub use self::error::EnvelopeError;
pub use self::header::{Header, MAX_HEADER_BYTES};
pub use self::output::Overwrite;
use self::output::PendingFile;
pub use self::stream::CHUNK_BYTES;
use crate::client::{DataKey, EncryptionContext};

/// The bytes of an AES-256 data key.
pub const DATA_KEY_BYTES: usize = 32;

/// Seals the file `input` into `output` under `data_key`, which must have been made for this file alone and under
/// `encryption_context`. `progress` hears how many bytes of the input are done, chunk by chunk.
///
/// # Errors
/// When a file cannot be read or written, `output` exists and may not be overwritten, or the header would be too long.
/// Then `output` is as it was.
pub fn seal_file(
    input: &Path,
    output: &Path,
    overwrite: Overwrite,
    data_key: &DataKey,
    encryption_context: &EncryptionContext,
    progress: &mut dyn FnMut(u64),
) -> Result<(), EnvelopeError> {
    let mut nonce_prefix = [0; stream::NONCE_PREFIX_BYTES];
    rand::fill(&mut nonce_prefix).map_err(|_| EnvelopeError::Cryptography)?;
    let header = Header::new(
        data_key.key_id.clone(),
        data_key.ciphertext_blob.clone(),
        encryption_context.clone(),
        nonce_prefix,
    )?;

    let mut reader = File::open(input).map_err(|source| EnvelopeError::read(input, source))?;
    let mut pending = PendingFile::create(output, overwrite)?;
    pending.write_all(header.as_bytes())?;
    let sealer = stream::Cipher::new(&data_key.plaintext, &header)?;
    stream::seal(&sealer, &mut reader, input, &mut pending, progress)?;
    pending.publish()
}

/// A sealed file whose header has been read. Nothing of the header is authentic before [`open_to`](Self::open_to)
/// succeeds.
#[derive(Debug)]
pub struct SealedFile<'a> {
    path: &'a Path,
    header: Header,
    body: BufReader<File>,
}

impl<'a> SealedFile<'a> {
    /// Reads the header of the sealed file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is no sealed file.
    pub fn read(path: &'a Path) -> Result<Self, EnvelopeError> {
        let file = File::open(path).map_err(|source| EnvelopeError::read(path, source))?;
        let mut body = BufReader::new(file);
        let header = Header::read(&mut body, path)?;
        Ok(Self { path, header, body })
    }

    /// What to have decrypted: the `CiphertextBlob`, its key and its encryption context.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Opens the file into `output` with the data key that the `CiphertextBlob` holds. `progress` hears how many bytes of
    /// the output are done, chunk by chunk.
    ///
    /// # Errors
    /// When the key does not fit, anything was altered or cut off, a file cannot be read or written, or `output` exists
    /// and may not be overwritten. Then `output` is as it was and no plaintext stays behind.
    pub fn open_to(
        mut self,
        output: &Path,
        overwrite: Overwrite,
        data_key: &[u8],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), EnvelopeError> {
        let opener = stream::Cipher::new(data_key, &self.header)?;
        let mut pending = PendingFile::create(output, overwrite)?;
        stream::open(&opener, &mut self.body, self.path, &mut pending, progress)?;
        pending.publish()
    }
}
