//! Attestation documents from a Nitro Secure Module (NSM).
//!
//! [`device::NsmDevice`] asks the real one; [`simulated::SimulatedNsm`] is for development and tests.

pub mod device;
pub mod simulated;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use self::simulated::SimulatedNsmError;

/// The longest `public_key` a document can carry, in bytes (attestation process, section 3.1).
pub const MAX_PUBLIC_KEY_BYTES: usize = 1024;

/// The longest `user_data` or `nonce` an NSM can be asked for, in bytes (attestation process, section 3.1).
pub const MAX_USER_DATA_BYTES: usize = 512;

/// What a document shall carry besides the measurements. Each field is optional and appears in the document as given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttestationRequest<'a> {
    /// A DER SubjectPublicKeyInfo, to which a key service encrypts its answer.
    pub public_key: Option<&'a [u8]>,
    /// Any data of the enclave's own.
    pub user_data: Option<&'a [u8]>,
    /// A value chosen by the verifier.
    pub nonce: Option<&'a [u8]>,
}

impl<'a> AttestationRequest<'a> {
    /// A request for a document that names `spki` (DER SubjectPublicKeyInfo) as the recipient key.
    pub fn with_public_key(spki: &'a [u8]) -> Self {
        Self { public_key: Some(spki), user_data: None, nonce: None }
    }

    fn check_lengths(&self) -> Result<(), NsmError> {
        let Self { public_key, user_data, nonce } = self;
        for (field, value, limit) in [
            ("public_key", public_key, MAX_PUBLIC_KEY_BYTES),
            ("user_data", user_data, MAX_USER_DATA_BYTES),
            ("nonce", nonce, MAX_USER_DATA_BYTES),
        ] {
            let actual = value.map_or(0, <[u8]>::len);
            if actual > limit {
                return Err(NsmError::FieldTooLong { field, limit, actual });
            }
        }
        Ok(())
    }
}

/// Something that signs attestation documents.
pub trait Nsm: Send + Sync {
    /// Obtains a new document: an untagged COSE_Sign1 (RFC 9052) over the measurements and what `request` adds.
    ///
    /// # Errors
    /// When the module is absent, refuses, or a field of `request` is too long.
    fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError>;
}

impl<N: Nsm + ?Sized> Nsm for Box<N> {
    fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        (**self).attestation_document(request)
    }
}

/// Why no attestation document could be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NsmError {
    /// The device could not be opened.
    #[error("cannot open the NSM device {}: {source}", path.display())]
    Open {
        /// The device's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The NSM answered with an error code.
    #[error("the NSM refused to attest: {code}")]
    Refused {
        /// The NSM's own name of the error.
        code: String,
    },
    /// The NSM answered with something that is not an attestation document.
    #[error("the NSM answered an attestation request with something else")]
    UnexpectedResponse,
    /// A field of the request is longer than an NSM takes.
    #[error("{field} is {actual} bytes long, an NSM takes at most {limit}")]
    FieldTooLong {
        /// The field of [`AttestationRequest`].
        field: &'static str,
        /// The most bytes allowed.
        limit: usize,
        /// The bytes given.
        actual: usize,
    },
    /// The simulated NSM could not make a document.
    #[error("the simulated NSM could not make a document: {0}")]
    Simulated(#[from] SimulatedNsmError),
}

impl NsmError {
    /// What the reader of the message can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "the device exists only inside a Nitro Enclave, with the kernel's nsm driver loaded; \
                 for development elsewhere use a simulated NSM",
            ),
            Self::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run as a user that may read and write the device")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_longer_than_an_nsm_takes_is_refused_by_name() {
        let long = [0; MAX_USER_DATA_BYTES + 1];
        let request = AttestationRequest { nonce: Some(&long), ..AttestationRequest::default() };
        let error = request.check_lengths().unwrap_err();
        assert_eq!(error.to_string(), "nonce is 513 bytes long, an NSM takes at most 512");
        assert!(AttestationRequest::with_public_key(&[0; MAX_PUBLIC_KEY_BYTES]).check_lengths().is_ok());
    }
}
