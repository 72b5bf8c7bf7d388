//! How long a signature counts.

use std::time::Duration;

use super::SigV4Error;
use crate::time::UnixTime;

/// How far a request's date may lie from the broker's clock, either way, at most: what AWS services allow.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// How long a presigned request may count at most, seven days: the limit of `X-Amz-Expires` ("Authenticating Requests:
/// Using Query Parameters" in the Amazon S3 API Reference).
pub const MAX_PRESIGNED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The time in which a signature counts, and in which whoever has seen the request can repeat it. By default as wide as
/// AWS's, never wider.
///
/// Within it, one signature counts as often as it comes. SigV4 has no nonce, and its date no fractions of a second:
/// two equal requests of one client in one second bear the same signature, as do the attempts of an AWS SDK that tries
/// again within it. A memory of signatures could not tell them from a repetition by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureWindow {
    max_skew: Duration,
    max_presigned: Duration,
}

/// A window that is empty, or wider than AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// The clock skew.
    #[error("the clock skew must be from 1 to 900 seconds, not {0}")]
    Skew(u64),
    /// The time of presigned requests.
    #[error("presigned requests may count from 0 to 604800 seconds, not {0}")]
    Presigned(u64),
}

/// From when to when a signature says that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// As long as its date is near the clock's.
    NearDate,
    /// From its date on, so long.
    Presigned(Duration),
}

impl SignatureWindow {
    /// A date may lie `max_skew_secs` from the clock, 1 to 900, and a presigned request may count for
    /// `max_presigned_secs`, 0 to 604,800; 0 refuses that form.
    ///
    /// # Errors
    /// When one of them is outside its range.
    pub fn new(max_skew_secs: u64, max_presigned_secs: u64) -> Result<Self, InvalidWindow> {
        if !(1..=MAX_CLOCK_SKEW.as_secs()).contains(&max_skew_secs) {
            return Err(InvalidWindow::Skew(max_skew_secs));
        }
        if max_presigned_secs > MAX_PRESIGNED.as_secs() {
            return Err(InvalidWindow::Presigned(max_presigned_secs));
        }
        Ok(Self {
            max_skew: Duration::from_secs(max_skew_secs),
            max_presigned: Duration::from_secs(max_presigned_secs),
        })
    }

    /// Checks that a signature made at `signed_at` counts `now`; both ends belong to the window.
    pub(super) fn check(
        &self,
        signed_at: UnixTime,
        lifetime: Lifetime,
        now: UnixTime,
    ) -> Result<(), SigV4Error> {
        let held_from = signed_at.saturating_sub(self.max_skew);
        let held_until = match lifetime {
            Lifetime::NearDate => signed_at.saturating_add(self.max_skew),
            Lifetime::Presigned(actual) if actual > self.max_presigned => {
                return Err(SigV4Error::PresignedTooLong {
                    limit_secs: self.max_presigned.as_secs(),
                    actual_secs: actual.as_secs(),
                });
            }
            Lifetime::Presigned(duration) => signed_at.saturating_add(duration),
        };
        if now < held_from {
            return Err(SigV4Error::NotYetValid { signed_at, held_from, now });
        }
        if now > held_until {
            return Err(SigV4Error::Expired { signed_at, held_until, now });
        }
        Ok(())
    }
}

impl Default for SignatureWindow {
    fn default() -> Self {
        Self { max_skew: MAX_CLOCK_SKEW, max_presigned: MAX_PRESIGNED }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidWindow, Lifetime, SignatureWindow};
    use crate::auth::sigv4::SigV4Error;
    use crate::time::UnixTime;

    #[test]
    fn a_window_is_neither_empty_nor_wider_than_that_of_aws() {
        assert_eq!(SignatureWindow::new(900, 604_800), Ok(SignatureWindow::default()));
        assert!(SignatureWindow::new(1, 0).is_ok());
        assert_eq!(SignatureWindow::new(0, 1), Err(InvalidWindow::Skew(0)));
        assert_eq!(SignatureWindow::new(901, 1), Err(InvalidWindow::Skew(901)));
        assert_eq!(SignatureWindow::new(1, 604_801), Err(InvalidWindow::Presigned(604_801)));
    }

    proptest! {
        #[test]
        fn a_signature_counts_within_the_window_and_at_no_other_time(
            skew in 1..=900_u64, most in 0..=604_800_u64, expires in 1..=604_800_u64, presigned: bool,
            signed in 1_000_000..4_000_000_000_u64, offset_ms in -700_000_000..700_000_000_i64,
        ) {
            let window = SignatureWindow::new(skew, most).unwrap();
            let signed_at = UnixTime::from_secs(signed);
            let now = UnixTime::from_ms(signed_at.as_ms().checked_add_signed(offset_ms).unwrap());
            let duration = std::time::Duration::from_secs(expires);
            let lifetime = if presigned { Lifetime::Presigned(duration) } else { Lifetime::NearDate };
            let skew_ms = i64::try_from(skew * 1000).unwrap();
            let end_ms = if presigned { i64::try_from(expires * 1000).unwrap() } else { skew_ms };
            let verdict = window.check(signed_at, lifetime, now);
            if presigned && expires > most {
                prop_assert_eq!(
                    verdict, Err(SigV4Error::PresignedTooLong { limit_secs: most, actual_secs: expires })
                );
            } else {
                prop_assert_eq!(verdict.is_ok(), (-skew_ms..=end_ms).contains(&offset_ms));
            }
        }
    }
}
