use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Why a command ends with another status than 0.
#[derive(Debug)]
pub(super) struct CliError {
    message: String,
    hint: Option<String>,
    status: u8,
}

impl CliError {
    /// Refused or failed: status 1.
    pub(super) fn failed(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None, status: 1 }
    }

    /// The command line is wrong: status 2.
    pub(super) fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None, status: 2 }
    }

    /// With advice on what to do.
    pub(super) fn hint(self, hint: impl Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// What it says, without advice.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn print(&self) {
        // There is nowhere to report that standard error is closed.
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "error: {}", self.message);
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "hint: {hint}");
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status)
    }
}
