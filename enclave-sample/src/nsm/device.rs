//! The real Nitro Secure Module behind `/dev/nsm`.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;

use super::{AttestationRequest, Nsm, NsmError};

/// Where the kernel's driver puts the device.
pub const DEFAULT_DEVICE_PATH: &str = "/dev/nsm";

/// An open NSM device; closed on drop.
#[derive(Debug)]
pub struct NsmDevice {
    // Opened here and not with the driver crate's `nsm_init`, which reports every failure as -1 and never says why.
    device: File,
}

impl NsmDevice {
    /// Opens the device at `path`, as a rule [`DEFAULT_DEVICE_PATH`].
    ///
    /// # Errors
    /// [`NsmError::Open`] with the system's reason.
    pub fn open(path: &Path) -> Result<Self, NsmError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(device) => Ok(Self { device }),
            Err(source) => Err(NsmError::Open { path: path.to_owned(), source }),
        }
    }
}

impl Nsm for NsmDevice {
    fn attestation_document(&self, request: &AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        request.check_lengths()?;
        let request = Request::Attestation {
            user_data: request.user_data.map(|bytes| bytes.to_vec().into()),
            nonce: request.nonce.map(|bytes| bytes.to_vec().into()),
            public_key: request.public_key.map(|bytes| bytes.to_vec().into()),
        };
        match nsm_process_request(self.device.as_raw_fd(), request) {
            Response::Attestation { document } => Ok(document),
            Response::Error(code) => Err(NsmError::Refused { code: format!("{code:?}") }),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_device_says_where_it_would_exist() {
        let error = NsmDevice::open(Path::new("/nonexistent/nsm")).unwrap_err();
        assert!(matches!(error, NsmError::Open { .. }));
        assert!(error.to_string().starts_with("cannot open the NSM device /nonexistent/nsm: "));
        assert!(error.hint().unwrap().contains("only inside a Nitro Enclave"));
    }

    #[test]
    fn a_file_that_is_not_an_nsm_refuses_to_attest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let device = NsmDevice::open(file.path()).unwrap();
        let error = device.attestation_document(&AttestationRequest::default()).unwrap_err();
        assert_eq!(error.to_string(), "the NSM refused to attest: InternalError");
    }
}
