//! How far a long work is, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAW_AFTER: Duration = Duration::from_millis(100);

/// A line on stderr that says how far the work is, and is gone when the work ends. Nothing where stderr is no terminal,
/// or for work of less than a moment.
pub(super) struct Progress {
    verb: &'static str,
    total_bytes: u64,
    begin: Instant,
    drawn: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    /// Of work on `total_bytes`.
    pub(super) fn new(verb: &'static str, total_bytes: u64) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { verb, total_bytes, begin: Instant::now(), drawn: None, is_terminal }
    }

    /// Says that `done_bytes` of all are done.
    pub(super) fn show(&mut self, done_bytes: u64) {
        let now = Instant::now();
        let since = self.drawn.unwrap_or(self.begin);
        if self.is_terminal && now.saturating_duration_since(since) >= REDRAW_AFTER {
            self.drawn = Some(now);
            let elapsed = now.saturating_duration_since(self.begin);
            draw(&line(self.verb, done_bytes, self.total_bytes, elapsed));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            draw("");
        }
    }
}

/// Replaces the line. A terminal that is gone does not end the work.
fn draw(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush());
}

fn line(verb: &str, done_bytes: u64, total_bytes: u64, elapsed: Duration) -> String {
    // A file that grows meanwhile has no more than all of it.
    let percent = done_bytes.saturating_mul(100).checked_div(total_bytes).unwrap_or(100).min(100);
    let per_second = done_bytes as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{verb} {percent:3} %  {} of {}  {}/s",
        size(done_bytes as f64),
        size(total_bytes as f64),
        size(per_second)
    )
}

fn size(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_how_much_and_how_fast() {
        let second = Duration::from_secs(1);
        assert_eq!(line("sealing", 0, 1000, second), "sealing   0 %  0 B of 1000 B  0 B/s");
        assert_eq!(
            line("sealing", 3 << 29, 3 << 30, Duration::from_secs(3)),
            "sealing  50 %  1.5 GiB of 3.0 GiB  512.0 MiB/s"
        );
        assert_eq!(line("opening", 5, 0, second), "opening 100 %  5 B of 0 B  5 B/s");
        assert_eq!(line("opening", 2048, 1024, second), "opening 100 %  2.0 KiB of 1.0 KiB  2.0 KiB/s");
        assert_eq!(size(5e15), "4547.5 TiB");
    }
}
