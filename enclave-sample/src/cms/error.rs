//! Why an envelope was not opened.

use thiserror::Error;

/// Why an envelope was not opened. `field` names the ASN.1 field of RFC 5652 that was being read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CmsError {
    /// Longer than any key service emits.
    #[error("the envelope has {actual} bytes, the limit is {limit}")]
    TooLong {
        /// The most bytes read.
        limit: usize,
        /// The bytes given.
        actual: usize,
    },
    /// Not BER.
    #[error("{field}: {problem}")]
    Ber {
        /// The field being read.
        field: &'static str,
        /// What is wrong with its encoding.
        problem: BerError,
    },
    /// Another element than the structure has in this place.
    #[error("{field}: expected identifier octet {expected:#04x}, found {found:#04x}")]
    Identifier {
        /// The field being read.
        field: &'static str,
        /// The identifier octet of the structure (X.690, section 8.1.2), primitive or constructed as usual.
        expected: u8,
        /// The identifier octet found.
        found: u8,
    },
    /// The structure ends before this field.
    #[error("{field} is missing")]
    Missing {
        /// The absent field.
        field: &'static str,
    },
    /// Bytes after the end of the structure.
    #[error("{count} bytes after the end of {field}")]
    TrailingBytes {
        /// The structure that should have ended.
        field: &'static str,
        /// How many bytes follow.
        count: usize,
    },
    /// A version that RFC 5652 does not give to what is there.
    #[error("{field}: expected version {expected}, found {found}")]
    Version {
        /// The version's field.
        field: &'static str,
        /// The versions allowed here.
        expected: &'static str,
        /// The version's content octets, in hex.
        found: String,
    },
    /// Another algorithm or content type.
    #[error("{field}: expected {expected}, found {found}")]
    ObjectIdentifier {
        /// The identifier's field.
        field: &'static str,
        /// Its expected name and value.
        expected: &'static str,
        /// The value found, in dotted form.
        found: String,
    },
    /// A value of another length than the algorithm has.
    #[error("{field}: expected {expected} bytes, found {actual}")]
    Length {
        /// The value's field.
        field: &'static str,
        /// Its length by the algorithm.
        expected: usize,
        /// The length found.
        actual: usize,
    },
    /// More recipients than an envelope from a key service can have use for.
    #[error("the envelope has more than {limit} recipients")]
    TooManyRecipients {
        /// The most recipients read.
        limit: usize,
    },
    /// Encrypted to someone else.
    #[error("the envelope is not for this key: expected subjectKeyIdentifier {expected}, found {found:?}")]
    NotForThisKey {
        /// SHA-256 of this key's SubjectPublicKeyInfo, in hex.
        expected: String,
        /// The recipients that the envelope names.
        found: Vec<String>,
    },
    /// The encrypted content is not a positive number of AES blocks.
    #[error("the encrypted content has {actual} bytes, which is not a positive multiple of 16")]
    NotBlocks {
        /// The length found.
        actual: usize,
    },
    /// RSAES-OAEP failed: the encrypted key was altered or made for another key.
    #[error("the content-encryption key does not unwrap under the recipient's RSA key")]
    UnwrapKey,
    /// AES-CBC or its padding failed: the content was altered.
    #[error("the content does not decrypt under its content-encryption key")]
    DecryptContent,
}

/// What is wrong with an encoding (X.690, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BerError {
    /// The input ends inside an element.
    #[error("the encoding ends too early")]
    Truncated,
    /// A tag number above 30 that begins with zeros or has more octets than the limit.
    #[error("a tag number that is padded or too long")]
    TagNumber,
    /// The reserved form of length.
    #[error("a length of the reserved form")]
    LengthForm,
    /// An indefinite length on a primitive element.
    #[error("an indefinite length on a primitive element")]
    IndefinitePrimitive,
    /// End-of-contents octets where no indefinite length is open.
    #[error("end-of-contents octets where none belong")]
    UnexpectedEndOfContents,
    /// Elements nested deeper than the limit.
    #[error("elements nested more than {limit} deep")]
    TooDeep {
        /// The most levels read.
        limit: u8,
    },
    /// A primitive element where the type is always constructed.
    #[error("a primitive encoding of a constructed type")]
    NotConstructed,
    /// A constructed element where the type is always primitive.
    #[error("a constructed encoding of a primitive type")]
    NotPrimitive,
    /// A value that its type cannot have.
    #[error("contents that are not a value of their type")]
    Contents,
}
