use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::error::CliError;

/// Writes `text` and a line end to standard output. A reader that has gone away is no failure.
pub(super) fn print_line(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes `value` as indented JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    print_line(&serde_json::to_string_pretty(value).map_err(CliError::failed)?)
}
