//! Time as a value.
//!
//! Nothing below the edge reads a clock: every check that depends on time takes the time as an argument, so that a
//! recorded document can be judged at the moment it was made and a test needs no waiting.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z, the unit of an attestation document's `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    ms: u64,
}

impl UnixTime {
    /// The moment `ms` milliseconds after the epoch.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// The moment `secs` seconds after the epoch; saturates at the end of the range.
    pub const fn from_secs(secs: u64) -> Self {
        Self { ms: secs.saturating_mul(1000) }
    }

    /// Milliseconds since the epoch.
    pub const fn as_ms(self) -> u64 {
        self.ms
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.ms / 1000
    }

    /// The system clock. Called at the edge only; a clock before 1970 reads as the epoch.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX) }
    }

    /// This moment moved forward, saturating.
    pub fn saturating_add(self, by: Duration) -> Self {
        Self { ms: self.ms.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)) }
    }

    /// This moment moved back, saturating at the epoch.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self { ms: self.ms.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)) }
    }

    /// Reads an RFC 3339 timestamp such as `2026-01-03T20:41:07Z`.
    ///
    /// # Errors
    /// When the text is not RFC 3339 or lies before 1970.
    pub fn parse_rfc3339(text: &str) -> Result<Self, InvalidTime> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTime(text.to_owned()))?;
        let ms = moment.unix_timestamp_nanos() / 1_000_000;
        Ok(Self { ms: u64::try_from(ms).map_err(|_| InvalidTime(text.to_owned()))? })
    }

    /// The calendar form, or `None` past the year 9999.
    pub fn to_calendar(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.ms) * 1_000_000).ok()
    }
}

/// RFC 3339 in UTC with the fraction only where there is one; `+<ms>ms` past the year 9999.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_calendar().and_then(|moment| moment.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "+{}ms", self.ms),
        }
    }
}

/// A text that is not an RFC 3339 timestamp after 1970.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-01-03T20:41:07Z")]
pub struct InvalidTime(pub String);

#[cfg(test)]
mod tests {
    use super::UnixTime;

    #[test]
    fn displays_what_it_parses() {
        let parsed = UnixTime::parse_rfc3339("2025-01-06T16:07:05.472Z").unwrap();
        assert_eq!(parsed.as_ms(), 1_736_179_625_472);
        assert_eq!(parsed.to_string(), "2025-01-06T16:07:05.472Z");
        assert_eq!(UnixTime::from_ms(u64::MAX).to_string(), "+18446744073709551615ms");
        assert!(UnixTime::parse_rfc3339("1969-12-31T23:59:59Z").is_err());
        assert!(UnixTime::parse_rfc3339("yesterday").is_err());
    }
}
