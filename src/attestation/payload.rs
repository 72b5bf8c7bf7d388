use super::pcr::{PCR_COUNT, PCR_LEN, Pcr, Pcrs};
use crate::cbor::{CborError, Reader};
use crate::time::UnixTime;

/// Bytes of a certificate at most (published attestation process, *syntactical validation*).
const MAX_CERTIFICATE_LEN: usize = 1024;
/// Certificates in `cabundle` at most. Real bundles hold four; the published process names no limit.
const MAX_CABUNDLE_LEN: u64 = 8;
/// Bytes of `public_key` at most (published attestation process).
const MAX_PUBLIC_KEY_LEN: usize = 1024;
/// Bytes of `user_data` and `nonce` at most. The published process says 512; real hardware emits 1,024.
const MAX_USER_DATA_LEN: usize = 1024;
/// Bytes of `module_id` at most. Real ones have 39; the published process says only that it is not empty.
const MAX_MODULE_ID_LEN: usize = 128;
/// The registers that say what the enclave runs; a document without them says nothing.
const IMAGE_PCRS: [u8; 3] = [0, 1, 2];

/// The payload of a document, its syntax checked and its truth not.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub module_id: &'a str,
    pub timestamp: UnixTime,
    pub pcrs: Pcrs,
    pub certificate: &'a [u8],
    pub cabundle: Vec<&'a [u8]>,
    pub public_key: Option<&'a [u8]>,
    pub user_data: Option<&'a [u8]>,
    pub nonce: Option<&'a [u8]>,
}

/// Why bytes are not the payload of an enclave's document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not CBOR of the right shape.
    #[error("the payload's {place} is malformed: {error}")]
    Cbor {
        /// The field, or `map` for what holds the fields.
        place: &'static str,
        /// What is wrong.
        error: CborError,
    },
    /// A field that an enclave's document does not have.
    #[error("the payload has an unknown field {0:?}")]
    UnknownField(String),
    /// The document is one of a NitroTPM instance: genuine, and no enclave.
    #[error("the document is one of NitroTPM, not of an enclave: it has nitrotpm_pcrs")]
    NitroTpm,
    /// A field stands twice.
    #[error("the payload has {0} twice")]
    DuplicateField(&'static str),
    /// A field is absent.
    #[error("the payload has no {0}")]
    MissingField(&'static str),
    /// `module_id` is not that of an enclave.
    #[error("expected a module_id of the form i-<instance>-enc<enclave>, found {0:?}")]
    ModuleId(String),
    /// `digest` is another than SHA384.
    #[error("expected digest \"SHA384\", found {0:?}")]
    Digest(String),
    /// `timestamp` is zero.
    #[error("the timestamp is zero")]
    ZeroTimestamp,
    /// A value is shorter or longer than the format allows.
    #[error("{field} has {min} to {max} bytes, found {actual}")]
    Length {
        /// The field.
        field: &'static str,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
        /// What was found.
        actual: usize,
    },
    /// `cabundle` holds no or too many certificates.
    #[error("cabundle has 1 to {MAX_CABUNDLE_LEN} certificates, found {0}")]
    CaBundleCount(u64),
    /// A register index is above 31 or stands twice.
    #[error("PCR index {0} is above 31 or stands twice")]
    PcrIndex(u64),
    /// More registers than indices exist.
    #[error("more than {PCR_COUNT} PCRs")]
    PcrCount,
    /// A register that identifies the image is absent.
    #[error("PCR{0} is absent")]
    MissingPcr(u8),
}

impl PayloadError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            PayloadError::Cbor { .. } => "payload_malformed",
            PayloadError::UnknownField(_) => "payload_unknown_field",
            PayloadError::NitroTpm => "payload_nitrotpm",
            PayloadError::DuplicateField(_) => "payload_duplicate_field",
            PayloadError::MissingField(_) => "payload_missing_field",
            PayloadError::ModuleId(_) => "payload_module_id",
            PayloadError::Digest(_) => "payload_digest",
            PayloadError::ZeroTimestamp => "payload_timestamp",
            PayloadError::Length { .. } => "payload_length",
            PayloadError::CaBundleCount(_) => "payload_cabundle_count",
            PayloadError::PcrIndex(_) => "payload_pcr_index",
            PayloadError::PcrCount => "payload_pcr_count",
            PayloadError::MissingPcr(_) => "payload_missing_pcr",
        }
    }
}

/// The fields as they come; each at most once.
#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    digest: Option<&'a str>,
    timestamp: Option<u64>,
    pcrs: Option<Pcrs>,
    certificate: Option<&'a [u8]>,
    cabundle: Option<Vec<&'a [u8]>>,
    public_key: Option<Option<&'a [u8]>>,
    user_data: Option<Option<&'a [u8]>>,
    nonce: Option<Option<&'a [u8]>>,
}

impl<'a> Payload<'a> {
    pub(super) fn parse(encoded: &'a [u8]) -> Result<Self, PayloadError> {
        let fields = read_fields(encoded)?;
        let require = |field| PayloadError::MissingField(field);
        let payload = Payload {
            module_id: check_module_id(fields.module_id.ok_or(require("module_id"))?)?,
            timestamp: check_timestamp(fields.timestamp.ok_or(require("timestamp"))?)?,
            pcrs: fields.pcrs.ok_or(require("pcrs"))?,
            certificate: fields.certificate.ok_or(require("certificate"))?,
            cabundle: fields.cabundle.ok_or(require("cabundle"))?,
            public_key: fields.public_key.ok_or(require("public_key"))?,
            user_data: fields.user_data.ok_or(require("user_data"))?,
            nonce: fields.nonce.ok_or(require("nonce"))?,
        };
        check_digest(fields.digest.ok_or(require("digest"))?)?;
        check_length("certificate", payload.certificate, 1, MAX_CERTIFICATE_LEN)?;
        for certificate in &payload.cabundle {
            check_length("cabundle", certificate, 1, MAX_CERTIFICATE_LEN)?;
        }
        check_length("public_key", payload.public_key.unwrap_or_default(), 0, MAX_PUBLIC_KEY_LEN)?;
        check_length("user_data", payload.user_data.unwrap_or_default(), 0, MAX_USER_DATA_LEN)?;
        check_length("nonce", payload.nonce.unwrap_or_default(), 0, MAX_USER_DATA_LEN)?;
        match IMAGE_PCRS.into_iter().find(|index| payload.pcrs.get(*index).is_none()) {
            Some(index) => Err(PayloadError::MissingPcr(index)),
            None => Ok(payload),
        }
    }
}

fn read_fields(encoded: &[u8]) -> Result<Fields<'_>, PayloadError> {
    let in_map = |error| PayloadError::Cbor { place: "map", error };
    let mut fields = Fields::default();
    let mut reader = Reader::new(encoded);
    let mut entries = reader.map().map_err(in_map)?;
    while entries.next(&mut reader).map_err(in_map)? {
        match reader.text().map_err(in_map)? {
            "module_id" => read_once("module_id", &mut fields.module_id, &mut reader, Reader::text)?,
            "digest" => read_once("digest", &mut fields.digest, &mut reader, Reader::text)?,
            "timestamp" => read_once("timestamp", &mut fields.timestamp, &mut reader, Reader::unsigned)?,
            "certificate" => read_once("certificate", &mut fields.certificate, &mut reader, Reader::bytes)?,
            "public_key" => {
                read_once("public_key", &mut fields.public_key, &mut reader, Reader::bytes_or_null)?;
            }
            "user_data" => read_once("user_data", &mut fields.user_data, &mut reader, Reader::bytes_or_null)?,
            "nonce" => read_once("nonce", &mut fields.nonce, &mut reader, Reader::bytes_or_null)?,
            "pcrs" => set_once("pcrs", &mut fields.pcrs, read_pcrs(&mut reader)?)?,
            "cabundle" => set_once("cabundle", &mut fields.cabundle, read_cabundle(&mut reader)?)?,
            "nitrotpm_pcrs" => return Err(PayloadError::NitroTpm),
            unknown => return Err(PayloadError::UnknownField(unknown.chars().take(64).collect())),
        }
    }
    reader.finish().map_err(in_map)?;
    Ok(fields)
}

fn read_once<'a, T>(
    field: &'static str,
    slot: &mut Option<T>,
    reader: &mut Reader<'a>,
    read: fn(&mut Reader<'a>) -> Result<T, CborError>,
) -> Result<(), PayloadError> {
    let value = read(reader).map_err(|error| PayloadError::Cbor { place: field, error })?;
    set_once(field, slot, value)
}

fn set_once<T>(field: &'static str, slot: &mut Option<T>, value: T) -> Result<(), PayloadError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(PayloadError::DuplicateField(field)),
    }
}

fn read_pcrs(reader: &mut Reader<'_>) -> Result<Pcrs, PayloadError> {
    let in_pcrs = |error| PayloadError::Cbor { place: "pcrs", error };
    let mut pcrs = Pcrs::default();
    // Hardware writes the outer map with either kind of length, and this one with a definite length always.
    let mut entries = reader.definite_map().map_err(in_pcrs)?;
    let mut count = 0_usize;
    while entries.next(reader).map_err(in_pcrs)? {
        count += 1;
        if count > PCR_COUNT {
            return Err(PayloadError::PcrCount);
        }
        let index = reader.unsigned().map_err(in_pcrs)?;
        let value = reader.bytes().map_err(in_pcrs)?;
        let value = <[u8; PCR_LEN]>::try_from(value).map_err(|_| PayloadError::Length {
            field: "pcrs",
            min: PCR_LEN,
            max: PCR_LEN,
            actual: value.len(),
        })?;
        if !pcrs.insert(index, Pcr(value)) {
            return Err(PayloadError::PcrIndex(index));
        }
    }
    Ok(pcrs)
}

fn read_cabundle<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, PayloadError> {
    let in_cabundle = |error| PayloadError::Cbor { place: "cabundle", error };
    let count = reader.array().map_err(in_cabundle)?;
    if !(1..=MAX_CABUNDLE_LEN).contains(&count) {
        return Err(PayloadError::CaBundleCount(count));
    }
    (0..count).map(|_| reader.bytes().map_err(in_cabundle)).collect()
}

fn check_module_id(module_id: &str) -> Result<&str, PayloadError> {
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts = module_id.strip_prefix("i-").and_then(|rest| rest.split_once("-enc"));
    match parts {
        Some((instance, enclave))
            if is_word(instance) && is_word(enclave) && module_id.len() <= MAX_MODULE_ID_LEN =>
        {
            Ok(module_id)
        }
        _ => Err(PayloadError::ModuleId(module_id.chars().take(MAX_MODULE_ID_LEN).collect())),
    }
}

fn check_timestamp(timestamp_ms: u64) -> Result<UnixTime, PayloadError> {
    if timestamp_ms == 0 { Err(PayloadError::ZeroTimestamp) } else { Ok(UnixTime::from_ms(timestamp_ms)) }
}

fn check_digest(digest: &str) -> Result<(), PayloadError> {
    if digest == "SHA384" { Ok(()) } else { Err(PayloadError::Digest(digest.chars().take(16).collect())) }
}

fn check_length(field: &'static str, value: &[u8], min: usize, max: usize) -> Result<(), PayloadError> {
    if (min..=max).contains(&value.len()) {
        Ok(())
    } else {
        Err(PayloadError::Length { field, min, max, actual: value.len() })
    }
}
