use std::sync::{Arc, OnceLock};

use super::Error;
use super::payload::Payload;
use super::pcr::Pcrs;
use super::recipient_key::{RecipientKey, RecipientKeyError};
use super::trust_anchor::TrustAnchor;
use crate::time::UnixTime;

/// What a genuine, fresh document says. Only [`super::verify()`] makes one. A clone shares the values.
#[derive(Clone, Debug)]
pub struct VerifiedEvidence {
    claims: Arc<Claims>,
}

#[derive(Debug)]
struct Claims {
    module_id: String,
    timestamp: UnixTime,
    pcrs: Pcrs,
    user_data: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
    public_key: Option<Vec<u8>>,
    trust_anchor_sha256: [u8; 32],
    /// Read from `public_key` when it is first asked for.
    recipient_key: OnceLock<Result<RecipientKey, RecipientKeyError>>,
}

impl VerifiedEvidence {
    pub(super) fn new(payload: Payload<'_>, anchor: &TrustAnchor) -> Self {
        // Exhaustive, so that a new field cannot be forgotten here.
        let Payload { module_id, timestamp, pcrs, certificate: _, cabundle: _, public_key, user_data, nonce } =
            payload;
        let claims = Claims {
            module_id: module_id.to_owned(),
            timestamp,
            pcrs,
            user_data: user_data.map(<[u8]>::to_vec),
            nonce: nonce.map(<[u8]>::to_vec),
            public_key: public_key.map(<[u8]>::to_vec),
            trust_anchor_sha256: *anchor.sha256(),
            recipient_key: OnceLock::new(),
        };
        Self { claims: Arc::new(claims) }
    }

    /// `i-<instance>-enc<enclave>`: the enclave that made the document.
    pub fn module_id(&self) -> &str {
        &self.claims.module_id
    }

    /// The part of the module id that names the parent instance, such as `i-0bee92034f3d60691`.
    pub fn instance_id(&self) -> &str {
        instance_id(self.module_id())
    }

    /// When the document was made, by the hypervisor's clock.
    pub fn timestamp(&self) -> UnixTime {
        self.claims.timestamp
    }

    /// The measurements.
    pub fn pcrs(&self) -> &Pcrs {
        &self.claims.pcrs
    }

    /// Data that the enclave put in, 0 to 1,024 bytes.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.claims.user_data.as_deref()
    }

    /// Data that the enclave put in, 0 to 1,024 bytes.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.claims.nonce.as_deref()
    }

    /// The field `public_key` as it came, 0 to 1,024 bytes of any form.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.claims.public_key.as_deref()
    }

    /// SHA-256 of the root certificate that vouches for the document.
    pub fn trust_anchor_sha256(&self) -> &[u8; 32] {
        &self.claims.trust_anchor_sha256
    }

    /// The RSA key that an answer can be encrypted to. Few genuine documents have one.
    ///
    /// # Errors
    /// [`Error::RecipientKey`] with what the field holds instead.
    pub fn recipient_key(&self) -> Result<RecipientKey, Error> {
        let read = || RecipientKey::from_public_key(self.public_key());
        self.claims.recipient_key.get_or_init(read).clone().map_err(Error::RecipientKey)
    }

    /// This evidence together with the key that an answer can be encrypted to.
    ///
    /// # Errors
    /// As [`VerifiedEvidence::recipient_key`].
    pub fn into_recipient(self) -> Result<AttestedRecipient, Error> {
        Ok(AttestedRecipient { key: self.recipient_key()?, evidence: self })
    }
}

/// The part of a module id, `i-<instance>-enc<enclave>`, that names the parent instance.
pub(super) fn instance_id(module_id: &str) -> &str {
    module_id.rsplit_once("-enc").map_or(module_id, |(instance, _)| instance)
}

/// A verified enclave that can receive an encrypted answer.
#[derive(Clone, Debug)]
pub struct AttestedRecipient {
    evidence: VerifiedEvidence,
    key: RecipientKey,
}

impl AttestedRecipient {
    /// What the enclave's document says.
    pub fn evidence(&self) -> &VerifiedEvidence {
        &self.evidence
    }

    /// The key in that document.
    pub fn key(&self) -> &RecipientKey {
        &self.key
    }
}
