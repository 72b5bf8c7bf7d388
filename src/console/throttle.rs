//! How often sign-ins may fail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::UnixTime;

/// Failures in a row that cost nobody anything: people mistype.
const FREE_FAILURES: u32 = 5;
/// The wait after one more; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait: 12 guesses an hour (NIST SP 800-63B-4 section 3.2.2 allows 100 in a row).
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Failures are forgotten so long after the last.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Names and addresses remembered at most; those that failed longest ago are forgotten first.
const MAX_REMEMBERED: usize = 4096;

/// Failed sign-ins, by name and by address.
#[derive(Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<Subject, Failures>>,
}

/// What failures are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The name that was typed, as it was.
    Name(String),
    /// Where from.
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: UnixTime,
}

impl Throttle {
    /// Counts an attempt as failed for all of `subjects` before it is made, so that a crowd of attempts at a time gains
    /// nothing.
    ///
    /// # Errors
    /// With the time to wait, where one of them failed too often; then nothing is counted.
    pub(super) fn begin(&self, subjects: &[Subject], now: UnixTime) -> Result<(), Duration> {
        self.with(|failures| {
            failures.retain(|_, found| now < found.last.saturating_add(FORGOTTEN_AFTER));
            let waits = subjects.iter().filter_map(|subject| failures.get(subject)?.wait(now));
            if let Some(wait) = waits.max() {
                return Err(wait);
            }
            for subject in subjects {
                make_room(failures);
                let found = failures.entry(subject.clone()).or_insert(Failures { count: 0, last: now });
                *found = Failures { count: found.count.saturating_add(1), last: now };
            }
            Ok(())
        })
    }

    /// Takes back what [`Throttle::begin`] counted. A name is free again at once; an address loses only this attempt, or
    /// else whoever has a password could guess others' in between.
    pub(super) fn succeeded(&self, subjects: &[Subject]) {
        self.with(|failures| {
            for subject in subjects {
                if let (Subject::Address(_), Some(found)) = (subject, failures.get_mut(subject)) {
                    found.count = found.count.saturating_sub(1);
                } else {
                    failures.remove(subject);
                }
            }
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Subject, Failures>) -> T) -> T {
        // A panic while the lock is held leaves at worst a failure out.
        look(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Failures {
    fn wait(self, now: UnixTime) -> Option<Duration> {
        let beyond = self.count.checked_sub(FREE_FAILURES)?;
        let wait = FIRST_WAIT.saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX)).min(LONGEST_WAIT);
        let left_ms =
            self.last.saturating_add(wait).as_ms().checked_sub(now.as_ms()).filter(|left| *left > 0)?;
        Some(Duration::from_millis(left_ms))
    }
}

fn make_room(failures: &mut HashMap<Subject, Failures>) {
    if failures.len() >= MAX_REMEMBERED
        && let Some(oldest) =
            failures.iter().min_by_key(|(_, found)| found.last).map(|(subject, _)| subject.clone())
    {
        failures.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Subject {
        Subject::Name(text.to_owned())
    }

    fn address(last: u8) -> Subject {
        Subject::Address(IpAddr::from([127, 0, 0, last]))
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten_after_an_hour() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.begin(&[name("alice")], at(0)), Ok(()));
        }
        let mut now = 0;
        for seconds in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(throttle.begin(&[name("alice")], at(now)), Err(Duration::from_secs(seconds)));
            assert_eq!(throttle.begin(&[name("bob")], at(now)), Ok(()));
            throttle.succeeded(&[name("bob")]);
            now += seconds;
            assert_eq!(throttle.begin(&[name("alice")], at(now)), Ok(()));
        }
        assert_eq!(throttle.begin(&[name("alice")], at(now + 3600)), Ok(()));
        assert_eq!(throttle.begin(&[name("alice")], at(now + 3600)), Ok(()));
    }

    #[test]
    fn an_address_that_guesses_many_names_waits_too_and_its_own_sign_ins_do_not_help() {
        let throttle = Throttle::default();
        for guess in 0..5 {
            assert_eq!(throttle.begin(&[name(&guess.to_string()), address(1)], at(0)), Ok(()));
            // Refused at most once the five are used up; until then, an own sign-in changes nothing.
            if guess < 4 {
                assert_eq!(throttle.begin(&[name("mine"), address(1)], at(0)), Ok(()));
                throttle.succeeded(&[name("mine"), address(1)]);
            }
        }
        assert_eq!(throttle.begin(&[name("x"), address(1)], at(0)), Err(Duration::from_secs(2)));
        assert_eq!(throttle.begin(&[name("x"), address(2)], at(0)), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for guess in 0..MAX_REMEMBERED + 10 {
            assert_eq!(throttle.begin(&[name(&guess.to_string())], at(guess as u64 / 100)), Ok(()));
        }
        assert_eq!(throttle.with(|failures| failures.len()), MAX_REMEMBERED);
    }
}
