//! The header of a sealed file.

use std::io::{self, Read};
use std::path::Path;

use super::error::EnvelopeError;
use super::stream::NONCE_PREFIX_BYTES;
use crate::client::EncryptionContext;

const MAGIC: &[u8; 7] = b"NKBFILE";
const VERSION: u8 = 1;

/// KeyIdType of the KMS model is at most 2,048 characters, ASCII in every form.
const MAX_KEY_ID_BYTES: usize = 2048;

/// CiphertextType of the KMS model is 1–6,144 bytes.
const MAX_CIPHERTEXT_BLOB_BYTES: usize = 6144;

/// The commonly quoted limit of an encryption context, all keys and values together.
const MAX_CONTEXT_BYTES: usize = 8192;

/// A pair takes at least one byte of key; more pairs than this are nobody's context.
const MAX_CONTEXT_PAIRS: usize = 256;

/// The longest header, in bytes: each field at its limit with its length prefix.
pub const MAX_HEADER_BYTES: usize = MAGIC.len()
    + 1
    + (2 + MAX_KEY_ID_BYTES)
    + (2 + MAX_CIPHERTEXT_BLOB_BYTES)
    + (2 + MAX_CONTEXT_PAIRS * 4 + MAX_CONTEXT_BYTES)
    + NONCE_PREFIX_BYTES;

/// What a sealed file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    key_id: String,
    ciphertext_blob: Vec<u8>,
    encryption_context: EncryptionContext,
    nonce_prefix: [u8; NONCE_PREFIX_BYTES],
    bytes: Vec<u8>,
}

impl Header {
    pub(super) fn new(
        key_id: String,
        ciphertext_blob: Vec<u8>,
        encryption_context: EncryptionContext,
        nonce_prefix: [u8; NONCE_PREFIX_BYTES],
    ) -> Result<Self, EnvelopeError> {
        let mut header =
            Self { key_id, ciphertext_blob, encryption_context, nonce_prefix, bytes: Vec::new() };
        header.check()?;
        header.bytes = header.encode()?;
        Ok(header)
    }

    /// Reads a header and leaves `reader` at the first chunk. `path` is named in errors.
    pub(super) fn read(reader: &mut impl Read, path: &Path) -> Result<Self, EnvelopeError> {
        let mut fields = Fields { reader, path, read: Vec::new() };
        let magic: [u8; MAGIC.len()] = fields.array("magic")?;
        if magic != *MAGIC {
            return Err(EnvelopeError::NotSealed { path: path.to_owned() });
        }
        let [version] = fields.array("version")?;
        if version != VERSION {
            return Err(EnvelopeError::Version { path: path.to_owned(), version });
        }
        let key_id = fields.text("key id", MAX_KEY_ID_BYTES)?;
        let ciphertext_blob = fields.bytes("CiphertextBlob", MAX_CIPHERTEXT_BLOB_BYTES)?;
        let encryption_context = fields.context()?;
        let nonce_prefix = fields.array("nonce prefix")?;
        let header = Self { key_id, ciphertext_blob, encryption_context, nonce_prefix, bytes: fields.read };
        header.check()?;
        Ok(header)
    }

    /// ARN of the key that sealed the data key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The sealed data key.
    pub fn ciphertext_blob(&self) -> &[u8] {
        &self.ciphertext_blob
    }

    /// The encryption context of the data key.
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.encryption_context
    }

    pub(super) fn nonce_prefix(&self) -> &[u8; NONCE_PREFIX_BYTES] {
        &self.nonce_prefix
    }

    /// The header as it stands in the file.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn check(&self) -> Result<(), EnvelopeError> {
        let Self { key_id, ciphertext_blob, encryption_context, nonce_prefix: _, bytes: _ } = self;
        let refuse = |field, problem| Err(EnvelopeError::Header { field, problem });
        if key_id.is_empty() || key_id.len() > MAX_KEY_ID_BYTES {
            return refuse("key id", "not 1 to 2048 bytes");
        }
        if ciphertext_blob.is_empty() || ciphertext_blob.len() > MAX_CIPHERTEXT_BLOB_BYTES {
            return refuse("CiphertextBlob", "not 1 to 6144 bytes");
        }
        if encryption_context.len() > MAX_CONTEXT_PAIRS {
            return refuse("encryption context", "more than 256 pairs");
        }
        let context_bytes: usize =
            encryption_context.iter().map(|(key, value)| key.len() + value.len()).sum();
        if context_bytes > MAX_CONTEXT_BYTES {
            return refuse("encryption context", "more than 8192 bytes");
        }
        Ok(())
    }

    fn encode(&self) -> Result<Vec<u8>, EnvelopeError> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        push_prefixed(&mut bytes, "key id", self.key_id.as_bytes())?;
        push_prefixed(&mut bytes, "CiphertextBlob", &self.ciphertext_blob)?;
        push_length(&mut bytes, "encryption context", self.encryption_context.len())?;
        for (key, value) in &self.encryption_context {
            push_prefixed(&mut bytes, "encryption context", key.as_bytes())?;
            push_prefixed(&mut bytes, "encryption context", value.as_bytes())?;
        }
        bytes.extend_from_slice(&self.nonce_prefix);
        Ok(bytes)
    }
}

fn push_length(bytes: &mut Vec<u8>, field: &'static str, length: usize) -> Result<(), EnvelopeError> {
    let length = u16::try_from(length).map_err(|_| EnvelopeError::Header { field, problem: "too long" })?;
    bytes.extend_from_slice(&length.to_be_bytes());
    Ok(())
}

fn push_prefixed(bytes: &mut Vec<u8>, field: &'static str, value: &[u8]) -> Result<(), EnvelopeError> {
    push_length(bytes, field, value.len())?;
    bytes.extend_from_slice(value);
    Ok(())
}

/// Reads fields and keeps the bytes they were read from.
struct Fields<'a, R> {
    reader: &'a mut R,
    path: &'a Path,
    read: Vec<u8>,
}

impl<R: Read> Fields<'_, R> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], EnvelopeError> {
        let mut array = [0; N];
        self.fill(field, &mut array)?;
        Ok(array)
    }

    fn length(&mut self, field: &'static str) -> Result<usize, EnvelopeError> {
        Ok(usize::from(u16::from_be_bytes(self.array(field)?)))
    }

    fn bytes(&mut self, field: &'static str, limit: usize) -> Result<Vec<u8>, EnvelopeError> {
        let length = self.length(field)?;
        if length > limit {
            return Err(EnvelopeError::Header { field, problem: "longer than its limit" });
        }
        let mut bytes = vec![0; length];
        self.fill(field, &mut bytes)?;
        Ok(bytes)
    }

    fn text(&mut self, field: &'static str, limit: usize) -> Result<String, EnvelopeError> {
        String::from_utf8(self.bytes(field, limit)?)
            .map_err(|_| EnvelopeError::Header { field, problem: "not UTF-8" })
    }

    fn context(&mut self) -> Result<EncryptionContext, EnvelopeError> {
        const FIELD: &str = "encryption context";
        let pairs = self.length(FIELD)?;
        if pairs > MAX_CONTEXT_PAIRS {
            return Err(EnvelopeError::Header { field: FIELD, problem: "more than 256 pairs" });
        }
        let mut context = EncryptionContext::new();
        for _ in 0..pairs {
            let key = self.text(FIELD, MAX_CONTEXT_BYTES)?;
            let value = self.text(FIELD, MAX_CONTEXT_BYTES)?;
            if context.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(EnvelopeError::Header { field: FIELD, problem: "keys are not ascending" });
            }
            context.insert(key, value);
        }
        Ok(context)
    }

    fn fill(&mut self, field: &'static str, buffer: &mut [u8]) -> Result<(), EnvelopeError> {
        match self.reader.read_exact(buffer) {
            Ok(()) => {
                if self.read.len() + buffer.len() > MAX_HEADER_BYTES {
                    return Err(EnvelopeError::Header { field, problem: "the header is too long" });
                }
                self.read.extend_from_slice(buffer);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && field == "magic" => {
                Err(EnvelopeError::NotSealed { path: self.path.to_owned() })
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(EnvelopeError::Header { field, problem: "the file ends too early" })
            }
            Err(error) => Err(EnvelopeError::read(self.path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn header() -> Header {
        Header::new("arn".to_owned(), vec![1, 2, 3], context(&[("a", "1"), ("b", "")]), [9; 7]).unwrap()
    }

    fn read(mut bytes: &[u8]) -> Result<Header, EnvelopeError> {
        Header::read(&mut bytes, Path::new("file"))
    }

    #[test]
    fn the_bytes_are_those_documented() {
        assert_eq!(
            header().as_bytes(),
            b"NKBFILE\x01\x00\x03arn\x00\x03\x01\x02\x03\x00\x02\x00\x01a\x00\x011\x00\x01b\x00\x00\x09\x09\x09\x09\x09\x09\x09"
        );
    }

    #[test]
    fn faults_are_named() {
        let fault = |from: &[u8], to: &[u8]| {
            let bytes = header().as_bytes().to_vec();
            let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
            let mut altered = bytes;
            altered.splice(at..at + from.len(), to.iter().copied());
            read(&altered).unwrap_err().to_string()
        };
        assert_eq!(fault(b"NKB", b"NKX"), "file is not a file sealed by enclave-sample");
        assert_eq!(fault(b"E\x01", b"E\x02"), "file has format version 2, this program knows version 1");
        assert_eq!(fault(b"\x00\x03arn", b"\x00\x00"), "the header's key id: not 1 to 2048 bytes");
        assert_eq!(fault(b"\x00\x03arn", b"\x08\x01arn"), "the header's key id: longer than its limit");
        assert_eq!(fault(b"arn", b"a\xffn"), "the header's key id: not UTF-8");
        assert_eq!(
            fault(b"\x00\x01b", b"\x00\x01a"),
            "the header's encryption context: keys are not ascending"
        );
        assert_eq!(
            fault(b"\x00\x02\x00\x01a", b"\x01\x01\x00\x01a"),
            "the header's encryption context: more than 256 pairs"
        );
        assert_eq!(read(b"").unwrap_err().to_string(), "file is not a file sealed by enclave-sample");
    }

    #[test]
    fn limits_hold_when_sealing() {
        let too_long = |key_id: usize, blob: usize, value: usize| {
            let context = context(&[("k", &"v".repeat(value))]);
            Header::new("k".repeat(key_id), vec![0; blob], context, [0; 7]).is_err()
        };
        assert!(!too_long(2048, 6144, 8191));
        assert!(too_long(2049, 1, 1));
        assert!(too_long(1, 6145, 1));
        assert!(too_long(1, 1, 8192));
        assert!(too_long(0, 1, 1));
        assert!(too_long(1, 0, 1));
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote_and_nothing_shorter(
            key_id in "[ -~]{1,80}",
            blob in prop::collection::vec(any::<u8>(), 1..200),
            pairs in prop::collection::btree_map(".{0,12}", ".{0,12}", 0..8),
            prefix in any::<[u8; 7]>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let header = Header::new(key_id, blob, pairs, prefix).unwrap();
            prop_assert_eq!(&read(header.as_bytes()).unwrap(), &header);
            let shorter = &header.as_bytes()[..cut.index(header.as_bytes().len())];
            prop_assert!(read(shorter).is_err());
        }

        #[test]
        fn arbitrary_bytes_after_the_magic_do_not_panic(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[&b"NKBFILE\x01"[..], &tail].concat());
        }
    }
}
