use super::Error;
use super::evidence::instance_id;
use super::payload::Payload;
use super::pcr::Pcrs;
use super::recipient_key::{PublicKeyKind, RecipientKey, RecipientKeyError};
use crate::cose::Sign1Parts;
use crate::crypto::{SHA256_LEN, sha384};
use crate::time::UnixTime;
use crate::x509::{CertificateSummary, Position};

/// What a document claims, for people to look at. Anyone can write such bytes: nothing of it is proven.
///
/// It reads what [`super::verify`] would refuse for its envelope, such as the unsigned documents of an emulator, and it
/// is of no use to the rest of the broker: no evidence and no recipient comes out of it.
///
/// ```compile_fail
/// use nitro_key_broker::attestation::{UnverifiedDocument, VerifiedEvidence};
///
/// let document = UnverifiedDocument::parse(b"").unwrap();
/// let evidence: VerifiedEvidence = document.into();
/// ```
#[derive(Debug)]
pub struct UnverifiedDocument<'a> {
    envelope: Sign1Parts<'a>,
    payload: Payload<'a>,
}

impl<'a> UnverifiedDocument<'a> {
    /// Reads the whole input as an enclave's document.
    ///
    /// # Errors
    /// When the envelope cannot be taken apart, or what it holds is no payload of an enclave's document.
    pub fn parse(document: &'a [u8]) -> Result<Self, Error> {
        let envelope = Sign1Parts::parse(document).map_err(Error::Cose)?;
        let payload = Payload::parse(envelope.payload).map_err(Error::Payload)?;
        Ok(Self { envelope, payload })
    }

    /// The parts of the COSE_Sign1 around the payload.
    pub fn envelope(&self) -> &Sign1Parts<'a> {
        &self.envelope
    }

    /// `i-<instance>-enc<enclave>`.
    pub fn module_id(&self) -> &'a str {
        self.payload.module_id
    }

    /// The part of the module id that names the parent instance.
    pub fn instance_id(&self) -> &'a str {
        instance_id(self.payload.module_id)
    }

    /// Whether PCR4 is what the hypervisor measures of that instance: SHA-384 of 48 zero bytes and its id in ASCII. `None`
    /// without PCR4.
    pub fn instance_id_matches_pcr4(&self) -> Option<bool> {
        let expected = sha384(&[&[0; 48], self.instance_id().as_bytes()]);
        Some(self.payload.pcrs.get(4)?.0 == expected)
    }

    /// The AWS region in the leaf's name, `<module_id>.<region>.aws`.
    pub fn region(&self) -> Option<String> {
        let leaf = CertificateSummary::parse(self.payload.certificate).ok()?;
        let name = leaf.common_name?;
        let region = name.strip_prefix(self.module_id())?.strip_prefix('.')?.strip_suffix(".aws")?;
        Some(region.to_owned())
    }

    /// When the document says that it was made.
    pub fn timestamp(&self) -> UnixTime {
        self.payload.timestamp
    }

    /// The measurements.
    pub fn pcrs(&self) -> &Pcrs {
        &self.payload.pcrs
    }

    /// The DER of each certificate, root first, the leaf last; perhaps no certificates at all.
    pub fn certificates(&self) -> impl Iterator<Item = (Position, &'a [u8])> {
        let bundle = self.payload.cabundle.iter().copied().enumerate();
        let leaf = (Position::Leaf, self.payload.certificate);
        bundle.map(|(index, der)| (Position::CaBundle(index), der)).chain([leaf])
    }

    /// The field `public_key`.
    pub fn public_key(&self) -> Option<&'a [u8]> {
        self.payload.public_key
    }

    /// What `public_key` holds.
    pub fn public_key_kind(&self) -> PublicKeyKind {
        PublicKeyKind::of(self.payload.public_key)
    }

    /// SHA-256 of `public_key`, where an answer could be encrypted to it if the document were genuine.
    ///
    /// # Errors
    /// Why none could.
    pub fn recipient_spki_sha256(&self) -> Result<[u8; SHA256_LEN], RecipientKeyError> {
        RecipientKey::from_public_key(self.payload.public_key).map(|key| *key.spki_sha256())
    }

    /// The field `user_data`.
    pub fn user_data(&self) -> Option<&'a [u8]> {
        self.payload.user_data
    }

    /// The field `nonce`.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.payload.nonce
    }
}
