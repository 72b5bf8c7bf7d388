use std::io::{BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::cli::error::CliError;
use crate::console::{MAX_PASSWORD_LEN, MIN_PASSWORD_LEN};

/// A new password: typed twice at a terminal, which does not show it, or else the first line of standard input.
pub(super) fn read_new_password() -> Result<Zeroizing<String>, CliError> {
    let password = if std::io::stdin().is_terminal() {
        let _hidden = HiddenInput::begin()?;
        let password = ask("Password: ")?;
        if *ask("The same again: ")? != *password {
            return Err(CliError::failed("these are two different passwords"));
        }
        password
    } else {
        read_line()?
    };
    let characters = password.chars().count();
    if characters < MIN_PASSWORD_LEN {
        let message =
            format!("the password has {characters} characters, at least {MIN_PASSWORD_LEN} are needed");
        return Err(CliError::failed(message).hint("a few words in a row are easier to remember than signs"));
    }
    if password.len() > MAX_PASSWORD_LEN {
        return Err(CliError::failed(format!("the password is longer than {MAX_PASSWORD_LEN} bytes")));
    }
    Ok(password)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    let failed = |error| CliError::failed(format!("the terminal: {error}"));
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{prompt}").and_then(|()| terminal.flush()).map_err(failed)?;
    let line = read_line()?;
    // The line end that was typed was not shown.
    writeln!(terminal).map_err(failed)?;
    Ok(line)
}

fn read_line() -> Result<Zeroizing<String>, CliError> {
    // Room for the whole, so that no copy is left behind by growing, and for what is too long to be seen as such.
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSWORD_LEN + 3));
    let limit = MAX_PASSWORD_LEN as u64 + 2;
    std::io::stdin()
        .lock()
        .take(limit)
        .read_line(&mut line)
        .map_err(|error| CliError::failed(format!("standard input: {error}")))?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(line)
}

/// A terminal that does not show what is typed, until dropped.
struct HiddenInput {
    before: Termios,
}

impl HiddenInput {
    fn begin() -> Result<Self, CliError> {
        let failed = |error| CliError::failed(format!("the terminal cannot hide what is typed: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.before);
    }
}
