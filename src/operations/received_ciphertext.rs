use std::sync::Arc;

use super::Invocation;
use super::broker::Broker;
use super::encryption_terms::{Ciphertext, EncryptionTerms, TermNames};
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::audit::AuditEvent;
use crate::keys::{CiphertextBlob, EncryptionAlgorithm, KeyIdentifier, MAX_CIPHERTEXT_BLOB_LEN};
use crate::store::KeyEntry;

/// The ciphertext that Decrypt and ReEncrypt are to open, and what the request says about its key.
pub(super) struct ReceivedCiphertext {
    /// Absent when a dry run is not to look at it.
    bytes: Option<Vec<u8>>,
    pub(super) key_id: Option<String>,
    pub(super) terms: EncryptionTerms,
}

/// A ciphertext with the key that opens it.
pub(super) struct LocatedCiphertext {
    pub(super) named_as: Option<KeyIdentifier>,
    pub(super) entry: Arc<KeyEntry>,
    pub(super) ciphertext: Option<Ciphertext>,
}

impl ReceivedCiphertext {
    /// Reads `CiphertextBlob`, the member that names the key, and its terms.
    pub(super) fn parse(
        members: &Members<'_>,
        key_id_name: &str,
        term_names: &TermNames,
        dry_run: bool,
    ) -> Result<Self, MemberError> {
        let bytes = members.blob("CiphertextBlob", 1..=MAX_CIPHERTEXT_BLOB_LEN)?;
        // Without the modifier the ciphertext must be there; with it, KMS does not look at one.
        let bytes = match (bytes, super::members::ignores_ciphertext(members, dry_run)?) {
            (Some(bytes), false) => Some(bytes),
            (None, false) => return Err(members.missing("CiphertextBlob")),
            (_, true) => None,
        };
        let key_id = members.string(key_id_name, 1..=2048)?.map(str::to_owned);
        let terms = EncryptionTerms::parse(members, term_names)?;
        // Only a symmetric ciphertext says whose it is.
        let names_its_key = bytes.is_some() && terms.algorithm == EncryptionAlgorithm::SymmetricDefault;
        if key_id.is_none() && !names_its_key {
            return Err(members.missing(key_id_name));
        }
        Ok(Self { bytes, key_id, terms })
    }

    /// The key that opens it, usable and fit for the terms: the one that the request names, or else the one that the
    /// ciphertext does.
    pub(super) async fn locate(
        &self,
        operation: &'static str,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<LocatedCiphertext, OperationError> {
        let named_as = match &self.key_id {
            Some(text) => Some(broker.identify(text, invocation)?),
            None => None,
        };
        let blob = match (&named_as, &self.bytes) {
            (None, Some(bytes)) => Some(CiphertextBlob::parse(bytes)?),
            _ => None,
        };
        let entry = broker.key_of_ciphertext(named_as.as_ref(), blob.as_ref(), invocation.now, event).await?;
        let scheme = self.terms.scheme_of(&entry.key, operation)?;
        let ciphertext = self.bytes.as_deref().map(|bytes| Ciphertext::parse(scheme, bytes)).transpose()?;
        Ok(LocatedCiphertext { named_as, entry, ciphertext })
    }
}
