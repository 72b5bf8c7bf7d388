//! Runs a command and, besides, what the first process owes to all others.

use std::io;
use std::process::{ChildStdout, Command};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::InitError;

/// Signals that the command gets when this process does.
const FORWARDED: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an exit status.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
}

impl Ended {
    /// As a shell reports it.
    pub fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exited(status) => status,
            Self::Signaled(signal) => 128_i32.saturating_add(signal),
        };
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

/// Starts commands and waits for the first of them to end. Meanwhile orphans of all processes are reaped, and signals
/// go to the command started last.
#[derive(Debug)]
pub struct Supervisor {
    pids: Vec<Pid>,
    child_ended: tokio::signal::unix::Signal,
    forwarded: mpsc::Receiver<Signal>,
}

impl Supervisor {
    /// One that has started nothing. To be called in a Tokio runtime, before any other child is started.
    ///
    /// # Errors
    /// When signals cannot be waited for.
    pub fn new() -> Result<Self, InitError> {
        let child_ended = signal(SignalKind::child()).map_err(InitError::Wait)?;
        let (forward, forwarded) = mpsc::channel(FORWARDED.len());
        for number in FORWARDED {
            let mut received = signal(SignalKind::from_raw(number.as_raw())).map_err(InitError::Wait)?;
            let forward = forward.clone();
            tokio::spawn(async move {
                while received.recv().await.is_some() {
                    // Nobody listens any more when the program ends.
                    let _ = forward.send(number).await;
                }
            });
        }
        Ok(Self { pids: Vec::new(), child_ended, forwarded })
    }

    /// Starts a command, and yields its standard output if that is a pipe.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self, mut command: Command) -> Result<Option<ChildStdout>, InitError> {
        let program = command.get_program().to_string_lossy().into_owned();
        match command.spawn() {
            // Reaped with all the others, and so not waited for by itself.
            Ok(mut child) => {
                self.pids.push(Pid::from_child(&child));
                Ok(child.stdout.take())
            }
            Err(source) => Err(InitError::Run { program, source }),
        }
    }

    /// Waits until one of the commands ends: which, in the order of starting, from 0, and how. The others are then told
    /// to end, too.
    ///
    /// # Errors
    /// When children cannot be waited for.
    pub async fn wait(mut self) -> Result<(usize, Ended), InitError> {
        loop {
            if let Some((place, ended)) = reap(&self.pids)? {
                self.pids.remove(place);
                return Ok((place, ended));
            }
            tokio::select! {
                _ = self.child_ended.recv() => {}
                Some(number) = self.forwarded.recv() => {
                    if let Some(&pid) = self.pids.last() {
                        // It may have ended a moment ago, which is found next.
                        let _ = kill_process(pid, number);
                    }
                }
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for &pid in &self.pids {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Takes every child that has ended from the process table, and says if one of `pids` is among them.
fn reap(pids: &[Pid]) -> Result<Option<(usize, Ended)>, InitError> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let ended = match (status.exit_status(), status.terminating_signal()) {
                    (Some(status), _) => Ended::Exited(status),
                    (None, Some(signal)) => Ended::Signaled(signal),
                    (None, None) => continue,
                };
                if let Some(place) = pids.iter().position(|&candidate| candidate == pid) {
                    return Ok(Some((place, ended)));
                }
            }
            Ok(None) | Err(Errno::CHILD) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(InitError::Wait(io::Error::from(errno))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(Ended::Exited(0).exit_code(), 0);
        assert_eq!(Ended::Exited(7).exit_code(), 7);
        assert_eq!(Ended::Signaled(15).exit_code(), 143);
    }
}
