//! How a command fails: a reason, perhaps a hint, and an exit status.

use std::process::ExitCode;

use enclave_sample::client::{ClientError, InvalidEndpoint, MissingCredential, TransportError};
use enclave_sample::envelope::EnvelopeError;
use enclave_sample::init::InitError;
use enclave_sample::nsm::NsmError;
use enclave_sample::nsm::simulated::{DevelopmentRootError, SimulatedNsmError};
use enclave_sample::recipient::{RecipientError, RecipientKeyError};

/// Why a command did not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    reason: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Exit status 1.
    Failed,
    /// Exit status 2, as clap's own usage errors have.
    Usage,
}

impl Failure {
    /// The work was refused or failed.
    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, reason: reason.into(), hint: None }
    }

    /// The command line asks for something that cannot be.
    pub(super) fn usage(reason: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, reason: reason.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn with_optional_hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.map(str::to_owned);
        self
    }

    /// Says why on stderr.
    pub(super) fn report(&self) -> ExitCode {
        eprintln!("error: {}", self.reason);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        match self.kind {
            Kind::Failed => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let request_id = match &error {
            ClientError::Refused(refusal) => refusal.request_id.as_deref(),
            _ => None,
        };
        let reason = match request_id {
            Some(request_id) => format!("{error} (request {request_id})"),
            None => error.to_string(),
        };
        Self::failed(reason).with_optional_hint(error.hint())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let failure = match &error {
            TransportError::HttpsWithoutCa | TransportError::HttpWithCa | TransportError::ServerName(_) => {
                Self::usage(error.to_string())
            }
            _ => Self::failed(error.to_string()),
        };
        failure.with_optional_hint(error.hint())
    }
}

impl From<RecipientError> for Failure {
    fn from(error: RecipientError) -> Self {
        match error {
            RecipientError::Nsm(error) => error.into(),
            error => Self::failed(error.to_string()),
        }
    }
}

impl From<NsmError> for Failure {
    fn from(error: NsmError) -> Self {
        Self::failed(error.to_string()).with_optional_hint(error.hint())
    }
}

impl From<EnvelopeError> for Failure {
    fn from(error: EnvelopeError) -> Self {
        Self::failed(error.to_string()).with_optional_hint(error.hint())
    }
}

impl From<DevelopmentRootError> for Failure {
    fn from(error: DevelopmentRootError) -> Self {
        Self::failed(error.to_string()).with_optional_hint(error.hint())
    }
}

impl From<SimulatedNsmError> for Failure {
    fn from(error: SimulatedNsmError) -> Self {
        match error {
            SimulatedNsmError::PcrIndex(_)
            | SimulatedNsmError::InstanceId(_)
            | SimulatedNsmError::Region(_) => Self::usage(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<RecipientKeyError> for Failure {
    fn from(error: RecipientKeyError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<InvalidEndpoint> for Failure {
    fn from(error: InvalidEndpoint) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<MissingCredential> for Failure {
    fn from(error: MissingCredential) -> Self {
        Self::usage(error.to_string())
    }
}
