//! Strict, borrowing CBOR reading (RFC 8949) over [`minicbor`].
//!
//! What a Nitro Security Module emits is a small corner of CBOR: unsigned integers, definite byte and text strings,
//! arrays, maps of definite or indefinite length, and null. Everything else is refused, and so is every encoding that
//! is longer than it need be (RFC 8949 section 4.2.1 calls the short one *preferred*): two encodings of one document
//! would be two documents to a cache or a replay check.

use minicbor::data::Type;
use minicbor::decode::Decoder;

/// Why bytes are not the CBOR that was expected. `offset` counts bytes from the start of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The input ends inside an item.
    #[error("the input ends at byte {offset} inside an item")]
    UnexpectedEnd {
        /// Where the unfinished item starts.
        offset: usize,
    },
    /// An item of another type stands here.
    #[error("expected {expected} at byte {offset}, found {actual}")]
    UnexpectedType {
        /// Where the item starts.
        offset: usize,
        /// The type that the format has here.
        expected: &'static str,
        /// The type that was found.
        actual: String,
    },
    /// The length or value is encoded in more bytes than it needs.
    #[error("the item at byte {offset} is not in its shortest encoding")]
    NotShortest {
        /// Where the item starts.
        offset: usize,
    },
    /// A text string is not UTF-8, or a head is not well-formed.
    #[error("the item at byte {offset} is malformed")]
    Malformed {
        /// Where the item starts.
        offset: usize,
    },
    /// Bytes follow the item that should end the input.
    #[error("{count} bytes follow the end of the item at byte {offset}")]
    TrailingBytes {
        /// Where the surplus starts.
        offset: usize,
        /// How many bytes are left.
        count: usize,
    },
}

/// A cursor over one CBOR input; every read either yields a value or leaves a typed error.
pub struct Reader<'a> {
    decoder: Decoder<'a>,
}

/// The entries of a map still to be read, see [`Reader::map`].
#[derive(Debug)]
pub struct Entries {
    remaining: Option<u64>,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(input) }
    }

    /// The current byte offset.
    pub fn offset(&self) -> usize {
        self.decoder.position()
    }

    /// The tag in front of the next item, if there is one.
    ///
    /// # Errors
    /// When the tag is malformed or not in its shortest encoding.
    pub fn tag(&mut self) -> Result<Option<u64>, CborError> {
        let offset = self.offset();
        if self.peek()? != Type::Tag {
            return Ok(None);
        }
        let tag = self.decoder.tag().map_err(|error| read_error(&error, offset))?.as_u64();
        self.require_shortest(offset, tag, 0)?;
        Ok(Some(tag))
    }

    /// The length of a definite array.
    ///
    /// # Errors
    /// When the next item is anything else.
    pub fn array(&mut self) -> Result<u64, CborError> {
        let offset = self.expect(Type::Array, "a definite array")?;
        let length = self.decoder.array().map_err(|error| read_error(&error, offset))?;
        let length = length.ok_or(CborError::Malformed { offset })?;
        self.require_shortest(offset, length, 0)?;
        Ok(length)
    }

    /// The head of a map of definite or indefinite length; read its entries while [`Entries::next`] says so.
    ///
    /// # Errors
    /// When the next item is anything else.
    pub fn map(&mut self) -> Result<Entries, CborError> {
        let offset = self.offset();
        let found = self.peek()?;
        if !matches!(found, Type::Map | Type::MapIndef) {
            return Err(unexpected(offset, "a map", found));
        }
        let remaining = self.decoder.map().map_err(|error| read_error(&error, offset))?;
        if let Some(length) = remaining {
            self.require_shortest(offset, length, 0)?;
        }
        Ok(Entries { remaining })
    }

    /// The head of a map of definite length; read its entries while [`Entries::next`] says so.
    ///
    /// # Errors
    /// When the next item is anything else.
    pub fn definite_map(&mut self) -> Result<Entries, CborError> {
        self.expect(Type::Map, "a definite map")?;
        self.map()
    }

    /// A definite byte string, borrowed from the input.
    ///
    /// # Errors
    /// When the next item is anything else, or claims more bytes than the input holds.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let offset = self.expect(Type::Bytes, "a definite byte string")?;
        let value = self.decoder.bytes().map_err(|error| read_error(&error, offset))?;
        self.require_shortest(offset, value.len() as u64, value.len())?;
        Ok(value)
    }

    /// A definite byte string, or `None` for null.
    ///
    /// # Errors
    /// When the next item is neither.
    pub fn bytes_or_null(&mut self) -> Result<Option<&'a [u8]>, CborError> {
        let offset = self.offset();
        match self.peek()? {
            Type::Null => {
                self.decoder.null().map_err(|error| read_error(&error, offset))?;
                Ok(None)
            }
            Type::Bytes => self.bytes().map(Some),
            found => Err(unexpected(offset, "a definite byte string or null", found)),
        }
    }

    /// A definite text string, borrowed from the input.
    ///
    /// # Errors
    /// When the next item is anything else or not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let offset = self.expect(Type::String, "a definite text string")?;
        let value = self.decoder.str().map_err(|error| read_error(&error, offset))?;
        self.require_shortest(offset, value.len() as u64, value.len())?;
        Ok(value)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When the next item is anything else.
    pub fn unsigned(&mut self) -> Result<u64, CborError> {
        let offset = self.offset();
        let found = self.peek()?;
        if !matches!(found, Type::U8 | Type::U16 | Type::U32 | Type::U64) {
            return Err(unexpected(offset, "an unsigned integer", found));
        }
        let value = self.decoder.u64().map_err(|error| read_error(&error, offset))?;
        self.require_shortest(offset, value, 0)?;
        Ok(value)
    }

    /// The encoding of the next item, whatever it is, in any well-formed encoding. For looking at, not for judging.
    ///
    /// # Errors
    /// When the item is not well-formed.
    pub fn any_item(&mut self) -> Result<&'a [u8], CborError> {
        let offset = self.offset();
        self.decoder.skip().map_err(|error| read_error(&error, offset))?;
        Ok(self.decoder.input().get(offset..self.offset()).unwrap_or_default())
    }

    /// Requires that nothing is left.
    ///
    /// # Errors
    /// [`CborError::TrailingBytes`] when something is.
    pub fn finish(self) -> Result<(), CborError> {
        let offset = self.offset();
        match self.decoder.input().len().saturating_sub(offset) {
            0 => Ok(()),
            count => Err(CborError::TrailingBytes { offset, count }),
        }
    }

    fn expect(&self, wanted: Type, expected: &'static str) -> Result<usize, CborError> {
        let offset = self.offset();
        let found = self.peek()?;
        if found == wanted { Ok(offset) } else { Err(unexpected(offset, expected, found)) }
    }

    fn peek(&self) -> Result<Type, CborError> {
        self.decoder.datatype().map_err(|error| read_error(&error, self.offset()))
    }

    /// `content` bytes follow the head that started at `offset` and carries `argument`.
    fn require_shortest(&self, offset: usize, argument: u64, content: usize) -> Result<(), CborError> {
        let head = self.offset().saturating_sub(offset).saturating_sub(content);
        let shortest = match argument {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if head == shortest { Ok(()) } else { Err(CborError::NotShortest { offset }) }
    }
}

impl Entries {
    /// How many entries are left, where the head of the map says so; an indefinite map's does not.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Whether another entry follows; consumes the break of an indefinite map.
    ///
    /// # Errors
    /// When the input ends first.
    pub fn next(&mut self, reader: &mut Reader<'_>) -> Result<bool, CborError> {
        match &mut self.remaining {
            Some(0) => Ok(false),
            Some(remaining) => {
                *remaining -= 1;
                Ok(true)
            }
            None if reader.peek()? == Type::Break => {
                let after_break = reader.offset().saturating_add(1);
                reader.decoder.set_position(after_break);
                self.remaining = Some(0);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

fn unexpected(offset: usize, expected: &'static str, found: Type) -> CborError {
    CborError::UnexpectedType { offset, expected, actual: found.to_string() }
}

fn read_error(error: &minicbor::decode::Error, offset: usize) -> CborError {
    if error.is_end_of_input() {
        CborError::UnexpectedEnd { offset }
    } else {
        CborError::Malformed { offset }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CborError, Reader};

    #[test]
    fn both_forms_of_a_map_read_the_same() {
        for input in [&[0xa1, 0x61, b'k', 0x05][..], &[0xbf, 0x61, b'k', 0x05, 0xff]] {
            let mut reader = Reader::new(input);
            let mut entries = reader.map().unwrap();
            assert!(entries.next(&mut reader).unwrap());
            assert_eq!(reader.text().unwrap(), "k");
            assert_eq!(reader.unsigned().unwrap(), 5);
            assert!(!entries.next(&mut reader).unwrap());
            reader.finish().unwrap();
        }
    }

    #[test]
    fn longer_encodings_than_needed_are_refused() {
        assert_eq!(Reader::new(&[0x18, 23]).unsigned(), Err(CborError::NotShortest { offset: 0 }));
        assert_eq!(Reader::new(&[0x58, 1, 0]).bytes(), Err(CborError::NotShortest { offset: 0 }));
        assert_eq!(Reader::new(&[0x78, 1, b'a']).text(), Err(CborError::NotShortest { offset: 0 }));
        assert_eq!(Reader::new(&[0x98, 1]).array(), Err(CborError::NotShortest { offset: 0 }));
        assert_eq!(Reader::new(&[0xb8, 1]).map().unwrap_err(), CborError::NotShortest { offset: 0 });
        assert_eq!(
            Reader::new(&[0xd8, 18]).tag(),
            Ok(Some(18)).and(Err(CborError::NotShortest { offset: 0 }))
        );
    }

    #[test]
    fn claims_beyond_the_input_are_refused_without_reading_on() {
        let four_gigabytes = [0x5a, 0xff, 0xff, 0xff, 0xff, 0];
        assert_eq!(Reader::new(&four_gigabytes).bytes(), Err(CborError::UnexpectedEnd { offset: 0 }));
        assert_eq!(Reader::new(&[]).bytes(), Err(CborError::UnexpectedEnd { offset: 0 }));
    }

    #[test]
    fn indefinite_strings_and_other_types_are_refused() {
        assert!(matches!(Reader::new(&[0x5f, 0x41, 0, 0xff]).bytes(), Err(CborError::UnexpectedType { .. })));
        assert!(matches!(Reader::new(&[0x9f, 0xff]).array(), Err(CborError::UnexpectedType { .. })));
        let definite_map = Reader::new(&[0xbf, 0xff]).definite_map();
        assert!(matches!(definite_map.unwrap_err(), CborError::UnexpectedType { offset: 0, .. }));
        assert!(matches!(Reader::new(&[0x20]).unsigned(), Err(CborError::UnexpectedType { .. })));
        assert_eq!(Reader::new(&[0x61, 0xff]).text(), Err(CborError::Malformed { offset: 0 }));
    }

    #[test]
    fn any_item_yields_its_encoding_and_no_more() {
        for item in [&[0xa1, 0x01, 0x38, 0x22][..], &[0x9f, 0x61, b'a', 0xff], &[0xc0, 0x18, 0x01], &[0xf6]] {
            let input = [item, &[0x05]].concat();
            let mut reader = Reader::new(&input);
            assert_eq!(reader.any_item(), Ok(item));
            assert_eq!(reader.unsigned(), Ok(5));
        }
        let nested = vec![0x81; 10_000];
        assert_eq!(Reader::new(&nested).any_item(), Err(CborError::UnexpectedEnd { offset: 0 }));
    }

    #[test]
    fn what_is_left_over_is_counted() {
        let mut reader = Reader::new(&[0x01, 0x02, 0x03]);
        reader.unsigned().unwrap();
        assert_eq!(reader.finish(), Err(CborError::TrailingBytes { offset: 1, count: 2 }));
    }

    proptest! {
        #[test]
        fn any_byte_string_written_by_minicbor_reads_back(value in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let encoded = minicbor::to_vec(minicbor::bytes::ByteVec::from(value.clone())).unwrap();
            let mut reader = Reader::new(&encoded);
            prop_assert_eq!(reader.bytes().unwrap(), &value[..]);
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn any_integer_written_by_minicbor_reads_back(value: u64) {
            let encoded = minicbor::to_vec(value).unwrap();
            prop_assert_eq!(Reader::new(&encoded).unsigned(), Ok(value));
        }

        #[test]
        fn arbitrary_bytes_never_panic(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Reader::new(&input).bytes();
            let _ = Reader::new(&input).text();
            let _ = Reader::new(&input).unsigned();
            let _ = Reader::new(&input).array();
            let _ = Reader::new(&input).tag();
            let _ = Reader::new(&input).any_item();
            let mut reader = Reader::new(&input);
            if let Ok(mut entries) = reader.map() {
                while let Ok(true) = entries.next(&mut reader) {
                    if reader.unsigned().and_then(|_| reader.bytes_or_null()).is_err() {
                        break;
                    }
                }
            }
        }
    }
}
