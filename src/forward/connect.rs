//! From a target to an open connection, with patience.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::config::ForwardLimits;
use super::metrics::{Failure, RouteMetrics};
use super::resolve::{Resolve, addresses};
use super::target::Target;

/// How long an address has to itself before the next one is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The pauses between rounds begin here and double. A service that restarts refuses connections for a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause: what a connection waits at most for a target that is back.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Connects to `target`: round by round its name is resolved and all its addresses tried, until one answers or
/// [`ForwardLimits::connect_patience`] is over.
pub(super) async fn connect(
    target: &Target,
    resolver: &dyn Resolve,
    limits: &ForwardLimits,
    metrics: &RouteMetrics,
) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + limits.connect_patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let (failure, error) = match round(target, resolver, limits, deadline).await {
            Ok(stream) => return Ok(stream),
            Err(failed) => failed,
        };
        tracing::debug!(%target, %failure, %error, "a round of connecting failed");
        metrics.round_failed(failure);
        // Not all at once when a target comes back that many wait for.
        let pause_now = pause.mul_f64(rand::random_range(0.5..1.0));
        if Instant::now() + pause_now >= deadline {
            return Err(failure);
        }
        sleep(pause_now).await;
        metrics.retried();
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Resolves once and tries every address.
async fn round(
    target: &Target,
    resolver: &dyn Resolve,
    limits: &ForwardLimits,
    deadline: Instant,
) -> Result<TcpStream, (Failure, io::Error)> {
    let resolve_deadline = deadline.min(Instant::now() + limits.resolve_timeout);
    let resolved = timeout_at(resolve_deadline, addresses(target, resolver)).await;
    let addresses = resolved
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| (Failure::Resolve, error))?;
    if addresses.is_empty() {
        return Err((Failure::Resolve, io::Error::other("the name has no address that it may have")));
    }
    let connected = timeout_at(deadline, race(addresses, limits.connect_timeout)).await;
    connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| (Failure::Connect, error))
}

/// The first connection of the addresses that comes to be. The next address is tried when the last one failed, or has
/// not answered for [`ATTEMPT_DELAY`]; what is slower than another is given up.
async fn race(addresses: Vec<SocketAddr>, limit: Duration) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(connect_to(address, limit));
        }
        let next_is_due = async {
            match is_last {
                true => pending().await,
                false => sleep(ATTEMPT_DELAY).await,
            }
        };
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = error,
                Some(Err(panicked)) => failure = io::Error::other(panicked),
                None => return Err(failure),
            },
            () = next_is_due => {}
        }
    }
}

async fn connect_to(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let connected = timeout(limit, TcpStream::connect(address)).await;
    let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    // What an enclave sent in one piece leaves in one; waiting for more only delays it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A port of 127.0.0.1 on which nobody listens.
    async fn dead() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn every_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let stream = race(vec![dead().await, dead().await, live], Duration::from_secs(5)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
    }

    #[tokio::test]
    async fn when_every_address_fails_the_last_reason_is_told() {
        let error = race(vec![dead().await, dead().await], Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = race(Vec::new(), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_does_not_hold_up_the_next() {
        // A queue of one that is full: further connections get no answer at all.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(silent)).await {
            filling.push(stream);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let started = Instant::now();
        let stream = race(vec![silent, live], Duration::from_secs(60)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
