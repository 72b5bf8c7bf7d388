//! The structures of RFC 5652, section 6:
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
//! EnvelopedData ::= SEQUENCE {
//!     version CMSVersion,
//!     originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
//!     recipientInfos SET SIZE (1..MAX) OF RecipientInfo,
//!     encryptedContentInfo EncryptedContentInfo,
//!     unprotectedAttrs [1] IMPLICIT UnprotectedAttributes OPTIONAL }
//! KeyTransRecipientInfo ::= SEQUENCE {
//!     version CMSVersion,  -- 0 with issuerAndSerialNumber, 2 with subjectKeyIdentifier
//!     rid CHOICE { issuerAndSerialNumber SEQUENCE { … }, subjectKeyIdentifier [0] OCTET STRING },
//!     keyEncryptionAlgorithm AlgorithmIdentifier,
//!     encryptedKey OCTET STRING }
//! EncryptedContentInfo ::= SEQUENCE {
//!     contentType OBJECT IDENTIFIER,
//!     contentEncryptionAlgorithm AlgorithmIdentifier,
//!     encryptedContent [0] IMPLICIT OCTET STRING OPTIONAL }
//! ```

use std::fmt;

use super::BLOCK_BYTES;
use super::ber::identifier::{INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, context};
use super::ber::{Element, Reader};
use super::error::{BerError, CmsError};

/// The most recipients that are looked at. A key service encrypts to one.
const MAX_RECIPIENTS: usize = 8;

/// What is needed of EnvelopedData to open it.
#[derive(Debug)]
pub(super) struct EnvelopedData<'a> {
    /// The recipients by key transport, at least one; those of other kinds are left out.
    pub(super) key_trans_recipients: Vec<KeyTransRecipientInfo<'a>>,
    pub(super) iv: [u8; BLOCK_BYTES],
    pub(super) encrypted_content: Vec<u8>,
}

impl<'a> EnvelopedData<'a> {
    /// Parses a ContentInfo that holds EnvelopedData with AES-256-CBC.
    pub(super) fn parse(input: &'a [u8]) -> Result<Self, CmsError> {
        let mut top = Reader::new("ContentInfo", input);
        let mut content_info = top.expect(SEQUENCE, "ContentInfo")?.children()?;
        top.finish()?;
        object_identifier(&mut content_info, "contentType", &ID_ENVELOPED_DATA)?;
        let mut explicit = content_info.expect(context(0), "content")?.children()?;
        content_info.finish()?;
        let mut fields = explicit.expect(SEQUENCE, "EnvelopedData")?.children()?;
        explicit.finish()?;

        version(&mut fields, "EnvelopedData.version", &[0, 2, 3, 4], "0, 2, 3 or 4")?;
        if let Some(originator_info) = fields.optional_if(context(0), "originatorInfo")? {
            originator_info.check_well_formed()?;
        }
        let key_trans_recipients = recipient_infos(&fields.expect(SET, "recipientInfos")?)?;
        let encrypted_content_info = fields.expect(SEQUENCE, "encryptedContentInfo")?;
        let (iv, encrypted_content) = parse_encrypted_content_info(&encrypted_content_info)?;
        if let Some(attributes) = fields.optional_if(context(1), "unprotectedAttrs")? {
            attributes.check_well_formed()?;
        }
        fields.finish()?;
        Ok(Self { key_trans_recipients, iv, encrypted_content })
    }
}

/// One recipient by key transport (RFC 5652, section 6.2.1).
#[derive(Debug)]
pub(super) struct KeyTransRecipientInfo<'a> {
    pub(super) identifier: RecipientIdentifier,
    pub(super) key_encryption_algorithm: AlgorithmIdentifier<'a>,
    pub(super) encrypted_key: Vec<u8>,
}

/// How an envelope names a recipient.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecipientIdentifier {
    /// By its certificate, which an enclave's key does not have; so the name itself is not kept.
    IssuerAndSerialNumber,
    /// By an identifier of its key.
    SubjectKeyIdentifier(Vec<u8>),
}

impl fmt::Display for RecipientIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IssuerAndSerialNumber => f.write_str("issuerAndSerialNumber"),
            Self::SubjectKeyIdentifier(identifier) => f.write_str(&hex::encode(identifier)),
        }
    }
}

/// An algorithm and its parameters (RFC 5280, section 4.1.1.2).
#[derive(Debug)]
pub(super) struct AlgorithmIdentifier<'a> {
    field: &'static str,
    algorithm: &'a [u8],
    parameters: Option<Element<'a>>,
}

impl<'a> AlgorithmIdentifier<'a> {
    fn parse(element: &Element<'a>, field: &'static str) -> Result<Self, CmsError> {
        let mut fields = element.children()?;
        let algorithm = fields.expect(OBJECT_IDENTIFIER, field)?.primitive()?;
        let parameters = fields.optional(field)?;
        fields.finish()?;
        // The parameters of a recipient that is not ours are not looked at again.
        if let Some(parameters) = &parameters {
            parameters.check_well_formed()?;
        }
        Ok(Self { field, algorithm, parameters })
    }

    fn require(&self, expected: &ObjectIdentifier) -> Result<(), CmsError> {
        expected.require(self.algorithm, self.field)
    }

    /// Parameters that a hash algorithm has: NULL or none (RFC 4055, section 2.1).
    fn require_null_or_absent_parameters(&self) -> Result<(), CmsError> {
        match &self.parameters {
            None => Ok(()),
            Some(null) if null.is(NULL) => match null.primitive()? {
                [] => Ok(()),
                _ => Err(null.problem(BerError::Contents)),
            },
            Some(other) => Err(other.problem(BerError::Contents)),
        }
    }
}

/// Checks that `algorithm` is RSAES-OAEP with SHA-256, MGF1 with SHA-256 and the empty label:
///
/// ```text
/// RSAES-OAEP-params ::= SEQUENCE {                                    -- RFC 4055, section 4.1
///     hashFunc    [0] AlgorithmIdentifier DEFAULT sha1Identifier,
///     maskGenFunc [1] AlgorithmIdentifier DEFAULT mgf1SHA1Identifier,
///     pSourceFunc [2] AlgorithmIdentifier DEFAULT pSpecifiedEmptyIdentifier }
/// ```
pub(super) fn oaep_with_sha256(algorithm: &AlgorithmIdentifier<'_>) -> Result<(), CmsError> {
    algorithm.require(&ID_RSAES_OAEP)?;
    // Absent parameters, or an absent hash or mask, stand for SHA-1.
    let params = algorithm.parameters.ok_or(CmsError::Missing { field: "RSAES-OAEP-params" })?;
    if !params.is(SEQUENCE) {
        return Err(params.problem(BerError::Contents));
    }
    let mut params = params.children()?;

    let hash = explicit_algorithm(&params.expect(context(0), "hashFunc")?, "hashFunc")?;
    hash.require(&ID_SHA256)?;
    hash.require_null_or_absent_parameters()?;

    let mask = explicit_algorithm(&params.expect(context(1), "maskGenFunc")?, "maskGenFunc")?;
    mask.require(&ID_MGF1)?;
    let mask_hash = mask.parameters.ok_or(CmsError::Missing { field: "maskGenFunc hash" })?;
    if !mask_hash.is(SEQUENCE) {
        return Err(mask_hash.problem(BerError::Contents));
    }
    let mask_hash = AlgorithmIdentifier::parse(&mask_hash, "maskGenFunc hash")?;
    mask_hash.require(&ID_SHA256)?;
    mask_hash.require_null_or_absent_parameters()?;

    if let Some(source) = params.optional_if(context(2), "pSourceFunc")? {
        let source = explicit_algorithm(&source, "pSourceFunc")?;
        source.require(&ID_P_SPECIFIED)?;
        let label = source.parameters.ok_or(CmsError::Missing { field: "pSourceFunc label" })?;
        if !label.is(OCTET_STRING) {
            return Err(label.problem(BerError::Contents));
        }
        let actual = label.octet_string()?.len();
        if actual != 0 {
            return Err(CmsError::Length { field: "pSourceFunc label", expected: 0, actual });
        }
    }
    params.finish()
}

fn explicit_algorithm<'a>(
    element: &Element<'a>,
    field: &'static str,
) -> Result<AlgorithmIdentifier<'a>, CmsError> {
    let mut explicit = element.children()?;
    let algorithm = AlgorithmIdentifier::parse(&explicit.expect(SEQUENCE, field)?, field)?;
    explicit.finish()?;
    Ok(algorithm)
}

fn recipient_infos<'a>(set: &Element<'a>) -> Result<Vec<KeyTransRecipientInfo<'a>>, CmsError> {
    let mut infos = set.children()?;
    let mut key_trans_recipients = Vec::new();
    let mut count = 0;
    while let Some(info) = infos.optional("RecipientInfo")? {
        count += 1;
        if count > MAX_RECIPIENTS {
            return Err(CmsError::TooManyRecipients { limit: MAX_RECIPIENTS });
        }
        // The other choices, key agreement and passwords among them, have context tags and are of no use to an RSA key.
        if info.is(SEQUENCE) {
            key_trans_recipients.push(parse_key_trans_recipient_info(&info)?);
        } else {
            info.check_well_formed()?;
        }
    }
    if key_trans_recipients.is_empty() {
        return Err(CmsError::Missing { field: "KeyTransRecipientInfo" });
    }
    Ok(key_trans_recipients)
}

fn parse_key_trans_recipient_info<'a>(info: &Element<'a>) -> Result<KeyTransRecipientInfo<'a>, CmsError> {
    const VERSION: &str = "KeyTransRecipientInfo.version";
    let mut fields = info.children()?;
    let found = fields.expect(INTEGER, VERSION)?.primitive()?;
    let identifier = match fields.optional_if(context(0), "rid")? {
        Some(identifier) => {
            check_version(found, VERSION, &[2], "2")?;
            RecipientIdentifier::SubjectKeyIdentifier(identifier.octet_string()?)
        }
        None => {
            fields.expect(SEQUENCE, "rid")?.check_well_formed()?;
            check_version(found, VERSION, &[0], "0")?;
            RecipientIdentifier::IssuerAndSerialNumber
        }
    };
    let key_encryption_algorithm = AlgorithmIdentifier::parse(
        &fields.expect(SEQUENCE, "keyEncryptionAlgorithm")?,
        "keyEncryptionAlgorithm",
    )?;
    let encrypted_key = fields.expect(OCTET_STRING, "encryptedKey")?.octet_string()?;
    fields.finish()?;
    Ok(KeyTransRecipientInfo { identifier, key_encryption_algorithm, encrypted_key })
}

fn parse_encrypted_content_info(info: &Element<'_>) -> Result<([u8; BLOCK_BYTES], Vec<u8>), CmsError> {
    let mut fields = info.children()?;
    object_identifier(&mut fields, "encryptedContentInfo.contentType", &ID_DATA)?;
    let algorithm = AlgorithmIdentifier::parse(
        &fields.expect(SEQUENCE, "contentEncryptionAlgorithm")?,
        "contentEncryptionAlgorithm",
    )?;
    algorithm.require(&ID_AES256_CBC)?;
    let iv = algorithm.parameters.ok_or(CmsError::Missing { field: "AES-IV" })?;
    if !iv.is(OCTET_STRING) {
        return Err(iv.problem(BerError::Contents));
    }
    let iv = iv.octet_string()?;
    let iv = iv.try_into().map_err(|iv: Vec<u8>| CmsError::Length {
        field: "AES-IV",
        expected: BLOCK_BYTES,
        actual: iv.len(),
    })?;
    let encrypted_content = fields.expect(context(0), "encryptedContent")?.octet_string()?;
    fields.finish()?;
    Ok((iv, encrypted_content))
}

fn version(
    fields: &mut Reader<'_>,
    field: &'static str,
    allowed: &[u8],
    expected: &'static str,
) -> Result<(), CmsError> {
    check_version(fields.expect(INTEGER, field)?.primitive()?, field, allowed, expected)
}

fn check_version(
    contents: &[u8],
    field: &'static str,
    allowed: &[u8],
    expected: &'static str,
) -> Result<(), CmsError> {
    match contents {
        [version] if allowed.contains(version) => Ok(()),
        _ => Err(CmsError::Version { field, expected, found: shown(contents) }),
    }
}

/// Hex of at most the first eight octets: enough to recognise a value, not enough to flood a log.
fn shown(contents: &[u8]) -> String {
    let mut text: String = contents.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    if contents.len() > 8 {
        text.push('…');
    }
    text
}

fn object_identifier(
    fields: &mut Reader<'_>,
    field: &'static str,
    expected: &ObjectIdentifier,
) -> Result<(), CmsError> {
    expected.require(fields.expect(OBJECT_IDENTIFIER, field)?.primitive()?, field)
}

/// An object identifier by its content octets.
struct ObjectIdentifier {
    name: &'static str,
    contents: &'static [u8],
}

impl ObjectIdentifier {
    const fn new(name: &'static str, contents: &'static [u8]) -> Self {
        Self { name, contents }
    }

    fn require(&self, found: &[u8], field: &'static str) -> Result<(), CmsError> {
        if found == self.contents {
            Ok(())
        } else {
            Err(CmsError::ObjectIdentifier { field, expected: self.name, found: dotted(found) })
        }
    }
}

const ID_ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new(
    "id-envelopedData 1.2.840.113549.1.7.3",
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03],
);
const ID_DATA: ObjectIdentifier = ObjectIdentifier::new(
    "id-data 1.2.840.113549.1.7.1",
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01],
);
const ID_RSAES_OAEP: ObjectIdentifier = ObjectIdentifier::new(
    "id-RSAES-OAEP 1.2.840.113549.1.1.7",
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07],
);
const ID_MGF1: ObjectIdentifier = ObjectIdentifier::new(
    "id-mgf1 1.2.840.113549.1.1.8",
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08],
);
const ID_P_SPECIFIED: ObjectIdentifier = ObjectIdentifier::new(
    "id-pSpecified 1.2.840.113549.1.1.9",
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x09],
);
const ID_SHA256: ObjectIdentifier = ObjectIdentifier::new(
    "id-sha256 2.16.840.1.101.3.4.2.1",
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
);
const ID_AES256_CBC: ObjectIdentifier = ObjectIdentifier::new(
    "id-aes256-CBC 2.16.840.1.101.3.4.1.42",
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a],
);

/// The dotted form of an object identifier's content octets (X.690, section 8.19), or their hex where they have none
/// or it would be long.
fn dotted(contents: &[u8]) -> String {
    const MAX_SHOWN_OCTETS: usize = 32;
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0_u64;
    for octet in contents {
        if arc >> (u64::BITS - 7) != 0 {
            return shown(contents);
        }
        arc = arc << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    let ends_inside_an_arc = contents.last().is_none_or(|last| last & 0x80 != 0);
    let Some((&first, others)) = arcs.split_first() else { return shown(contents) };
    if ends_inside_an_arc || contents.len() > MAX_SHOWN_OCTETS {
        return shown(contents);
    }
    let root = first.min(80) / 40;
    let mut text = format!("{root}.{}", first - root * 40);
    for arc in others {
        text.push_str(&format!(".{arc}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_read_as_they_are_named() {
        for known in
            [ID_ENVELOPED_DATA, ID_DATA, ID_RSAES_OAEP, ID_MGF1, ID_P_SPECIFIED, ID_SHA256, ID_AES256_CBC]
        {
            assert_eq!(known.name.split(' ').nth(1).unwrap(), dotted(known.contents));
        }
        assert_eq!(dotted(&[]), "");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        assert_eq!(dotted(&[0x2a, 0x86]), "2a86");
        assert_eq!(dotted(&[0xff; 20]), "ffffffffffffffff…");
    }
}
