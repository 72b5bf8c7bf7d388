//! When a request is sent again.

use std::time::Duration;

use super::error::ClientError;
use super::transport::TransportError;

/// How often and how fast a request that failed is sent again, each time with a fresh signature and document.
///
/// Only failures after which another try can help count: no connection, a connection that broke before the answer was
/// complete, no answer in time, status 5xx, throttling. None of the operations does harm when it happens twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most times that a request is sent, at least one.
    pub max_attempts: u32,
    /// The longest wait before the second attempt; it doubles with each.
    pub base_delay: Duration,
    /// The longest wait between two attempts.
    pub max_delay: Duration,
    /// How long all of it may take.
    pub deadline: Duration,
}

impl RetryPolicy {
    /// One attempt.
    pub const NONE: Self = Self { max_attempts: 1, ..Self::DEFAULT };

    const DEFAULT: Self = Self {
        max_attempts: 4,
        base_delay: Duration::from_millis(100),
        max_delay: Duration::from_secs(5),
        deadline: Duration::from_mins(1),
    };

    /// The wait after `failed_attempts`: evenly distributed from zero to the exponentially growing bound, so that
    /// enclaves that failed together do not come back together. `random` is any 32 random bits.
    pub(super) fn delay(&self, failed_attempts: u32, random: u32) -> Duration {
        let doublings = failed_attempts.saturating_sub(1).min(31);
        let bound = self.base_delay.saturating_mul(1 << doublings).min(self.max_delay);
        bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether the same request may fare better soon.
pub(super) fn is_worth_a_retry(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(error) => match error {
            TransportError::Connect { .. } | TransportError::ConnectTimeout { .. } => true,
            // What TLS itself refuses, a certificate for one, it refuses again.
            TransportError::Handshake { source, .. } => source.kind() != std::io::ErrorKind::InvalidData,
            _ => false,
        },
        ClientError::Http(error) => !error.is_parse() && !error.is_user(),
        ClientError::Timeout { .. } => true,
        ClientError::UnexpectedStatus { status } => is_server_status(*status),
        ClientError::Refused(refusal) => {
            is_server_status(refusal.status) || refusal.code == "ThrottlingException"
        }
        _ => false,
    }
}

/// 429 is what a load balancer in front of a service throttles with.
fn is_server_status(status: u16) -> bool {
    status >= 500 || status == 429
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::error::Refusal;
    use super::*;

    fn refused(status: u16, code: &str) -> ClientError {
        let (code, message) = (code.to_owned(), String::new());
        ClientError::Refused(Refusal { status, code, message, request_id: None })
    }

    #[test]
    fn only_failures_that_pass_are_retried() {
        for (error, expected) in [
            (refused(400, "ThrottlingException"), true),
            (refused(500, "KMSInternalException"), true),
            (refused(500, "KeyUnavailableException"), true),
            (refused(400, "AccessDeniedException"), false),
            (refused(400, "InvalidCiphertextException"), false),
            (ClientError::UnexpectedStatus { status: 502 }, true),
            (ClientError::UnexpectedStatus { status: 429 }, true),
            (ClientError::UnexpectedStatus { status: 302 }, false),
            (ClientError::Timeout { after: Duration::ZERO }, true),
            (ClientError::PlaintextReleased { member: "Plaintext" }, false),
            (ClientError::PlaintextLength { expected: 32, actual: 16 }, false),
            (ClientError::Json(String::new()), false),
        ] {
            assert_eq!(is_worth_a_retry(&error), expected, "{error}");
        }
    }

    #[test]
    fn the_bound_doubles_up_to_the_longest_wait() {
        let policy = RetryPolicy { max_delay: Duration::from_millis(350), ..RetryPolicy::default() };
        let bounds: Vec<u128> = (1..=4).map(|failed| policy.delay(failed, u32::MAX).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 350, 350]);
        assert_eq!(policy.delay(3, 0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(
            failed in any::<u32>(),
            random in any::<u32>(),
            base in 0_u64..100_000,
        ) {
            let policy = RetryPolicy { base_delay: Duration::from_millis(base), ..RetryPolicy::default() };
            prop_assert!(policy.delay(failed, random) <= policy.max_delay);
        }
    }
}
