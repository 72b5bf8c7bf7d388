//! Reading a request's body within its limits.

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::{Instant, timeout_at};

use super::config::Limits;
use super::handler::BodyError;

/// How much of an oversize body is read on and thrown away. A client that is still sending when the answer comes and
/// the connection closes may see a reset instead of the answer, so that it never learns what was wrong.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Reserved at once for a body; a longer one proves itself by arriving.
const MAX_FIRST_RESERVE: usize = 16 * 1024;

/// What came of a body.
pub(super) struct ReceivedBody {
    pub(super) content: Result<Bytes, BodyError>,
    /// Whether the connection stands at the start of the next request.
    pub(super) is_read_to_end: bool,
}

/// Reads `incoming` whole. A client that waits for `100 Continue` before it sends a body declared too long is answered
/// without having to send it.
pub(super) async fn receive(mut incoming: Incoming, expects_continue: bool, limits: &Limits) -> ReceivedBody {
    let too_large = BodyError::TooLarge { limit: limits.max_body_bytes };
    let declared = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limits.max_body_bytes && (expects_continue || declared > MAX_DISCARDED_BYTES) {
        return ReceivedBody { content: Err(too_large), is_read_to_end: false };
    }

    let deadline = Instant::now() + limits.body_timeout;
    let mut received = 0_usize;
    let mut content = Vec::with_capacity(declared.min(MAX_FIRST_RESERVE));
    loop {
        let failure = match timeout_at(deadline, incoming.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                received = received.saturating_add(data.len());
                if received <= limits.max_body_bytes {
                    content.extend_from_slice(&data);
                    continue;
                }
                content = Vec::new();
                if received <= MAX_DISCARDED_BYTES {
                    continue;
                }
                too_large
            }
            Ok(None) if received <= limits.max_body_bytes => {
                return ReceivedBody { content: Ok(content.into()), is_read_to_end: true };
            }
            Ok(None) => return ReceivedBody { content: Err(too_large), is_read_to_end: true },
            _ if received > limits.max_body_bytes => too_large,
            Ok(Some(Err(_))) => BodyError::Incomplete,
            Err(_) => BodyError::Timeout { limit: limits.body_timeout },
        };
        return ReceivedBody { content: Err(failure), is_read_to_end: false };
    }
}
