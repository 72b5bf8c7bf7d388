//! The document itself: the CBOR payload with its nine fields, and the COSE_Sign1 around it (RFC 9052, section 4.2).

use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::EcdsaKeyPair;
use minicbor::Encoder;

use super::chain::CertificateChain;
use super::{AttestationRequest, SimulatedEnclave, SimulatedNsmError};

/// `{1: -35}`: ES384, the only protected header an NSM writes.
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

/// Encodes the payload as current hardware does: an indefinite-length map whose keys stand in the published order, with
/// nested items of definite length and null for what is absent.
pub(super) fn encode_payload(
    enclave: &SimulatedEnclave,
    chain: &CertificateChain,
    request: &AttestationRequest<'_>,
    at: SystemTime,
) -> Result<Vec<u8>, SimulatedNsmError> {
    let since_epoch = at.duration_since(UNIX_EPOCH).map_err(|_| SimulatedNsmError::Time)?;
    let timestamp_ms = u64::try_from(since_epoch.as_millis()).map_err(|_| SimulatedNsmError::Time)?;
    let pcrs = enclave.measurements();
    let AttestationRequest { public_key, user_data, nonce } = *request;

    let mut cbor = Encoder::new(Vec::with_capacity(8 * 1024));
    cbor.begin_map()?;
    cbor.str("module_id")?.str(&enclave.module_id())?;
    cbor.str("digest")?.str("SHA384")?;
    cbor.str("timestamp")?.u64(timestamp_ms)?;
    cbor.str("pcrs")?.map(pcrs.len() as u64)?;
    for (index, value) in &pcrs {
        cbor.u8(*index)?.bytes(value)?;
    }
    cbor.str("certificate")?.bytes(chain.leaf())?;
    cbor.str("cabundle")?.array(chain.cabundle().len() as u64)?;
    for certificate in chain.cabundle() {
        cbor.bytes(certificate)?;
    }
    for (key, value) in [("public_key", public_key), ("user_data", user_data), ("nonce", nonce)] {
        cbor.str(key)?;
        match value {
            Some(bytes) => cbor.bytes(bytes)?,
            None => cbor.null()?,
        };
    }
    cbor.end()?;
    Ok(cbor.into_writer())
}

/// Signs `payload` and wraps it as an untagged COSE_Sign1.
pub(super) fn sign(payload: &[u8], key: &EcdsaKeyPair) -> Result<Vec<u8>, SimulatedNsmError> {
    let mut to_be_signed = Encoder::new(Vec::with_capacity(payload.len() + 32));
    to_be_signed.array(4)?.str("Signature1")?.bytes(&PROTECTED)?.bytes(&[])?.bytes(payload)?;
    let signature = key.sign(&SystemRandom::new(), to_be_signed.writer())?;

    let mut cose = Encoder::new(Vec::with_capacity(payload.len() + 128));
    cose.array(4)?.bytes(&PROTECTED)?.map(0)?.bytes(payload)?.bytes(signature.as_ref())?;
    Ok(cose.into_writer())
}

impl From<minicbor::encode::Error<Infallible>> for SimulatedNsmError {
    fn from(_: minicbor::encode::Error<Infallible>) -> Self {
        Self::Encode
    }
}
