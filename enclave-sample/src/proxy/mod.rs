//! A KMS endpoint inside the enclave, for SDKs that know nothing of attestation.
//!
//! An SDK points at `http://127.0.0.1:PORT`. The proxy adds `Recipient` to the five operations that answer to one,
//! asks the broker, or AWS KMS itself, over its own authenticated connection, opens `CiphertextForRecipient` and
//! answers with `Plaintext`, as KMS does without a recipient. Other operations pass as they are, and so do requests
//! that carry a `Recipient` of the caller's own.
//!
//! | the caller's | the proxy |
//! |---|---|
//! | signature | covers the body, which `Recipient` changes: it is dropped, and the proxy signs with its own credentials or not at all |
//! | identity | is not asked for: whoever reaches the enclave's loopback runs inside the enclave, as the proxy does |
//! | retries | are left to it; the proxy's own are for failures on the way to the broker |
//!
//! It listens on loopback addresses only: the answers are in the clear.

mod exchange;
mod http;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::{BrokerClient, ClientError};

/// The most connections at a time; further ones wait in the listener's queue.
pub const MAX_CALLERS: usize = 256;

/// How long a caller may take to send its headers, and how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The headers of an SDK's request come to some 2 KiB with a session token.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// How long requests under way may take once the proxy is told to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait after an accept that failed for want of file descriptors, which others must return first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A place to listen that only this enclave reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackAddress(SocketAddr);

impl LoopbackAddress {
    /// The address, if it is one of the loopback.
    ///
    /// # Errors
    /// Any other would hand out keys to the network.
    pub fn new(address: SocketAddr) -> Result<Self, NotLoopback> {
        let is_loopback = match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        if is_loopback { Ok(Self(address)) } else { Err(NotLoopback { address: address.to_string() }) }
    }
}

impl fmt::Display for LoopbackAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LoopbackAddress {
    type Err = NotLoopback;

    fn from_str(text: &str) -> Result<Self, NotLoopback> {
        let address = text.parse().map_err(|_| NotLoopback { address: text.to_owned() })?;
        Self::new(address)
    }
}

/// An address that others could reach, or no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{address} is no loopback address with a port, such as 127.0.0.1:8000: the proxy answers in the clear"
)]
pub struct NotLoopback {
    address: String,
}

/// A proxy, bound and ready to serve.
#[derive(Debug)]
pub struct Proxy {
    listener: TcpListener,
    client: Arc<BrokerClient>,
    report: fn(&str, &ClientError),
}

impl Proxy {
    /// Binds to `address`; port 0 lets the kernel choose. `client` reaches the broker.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: LoopbackAddress, client: BrokerClient) -> io::Result<Self> {
        let listener = TcpListener::bind(address.0).await?;
        Ok(Self { listener, client: Arc::new(client), report: |_, _| () })
    }

    /// The same proxy, telling `report` of each request that brought no answer: its operation and why. Exceptions of
    /// the broker are answers.
    pub fn reporting(mut self, report: fn(&str, &ClientError)) -> Self {
        self.report = report;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready, then lets the requests under way end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, client, report } = self;
        let permits = Arc::new(Semaphore::new(MAX_CALLERS));
        let (end, ended) = watch::channel(false);
        let mut callers = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = async {
                // Never closed, so this waits until a caller leaves.
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            };
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = callers.join_next(), if !callers.is_empty() => {}
                (permit, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let (client, ended) = (Arc::clone(&client), ended.clone());
                        callers.spawn(async move {
                            let _permit = permit;
                            serve_caller(stream, client, report, ended).await;
                        });
                    }
                    // A caller that left again, or too many open files: neither ends the proxy.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        drop(listener);
        let _ = end.send(true);
        // Whoever takes longer is cut off with the set.
        let _ = timeout(DRAIN_TIMEOUT, async { while callers.join_next().await.is_some() {} }).await;
    }
}

async fn serve_caller(
    stream: TcpStream,
    client: Arc<BrokerClient>,
    report: fn(&str, &ClientError),
    mut ended: watch::Receiver<bool>,
) {
    // Without it, small answers wait for acknowledgements.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| http::answer(request, &client, report));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // What breaks a caller's connection is the caller's affair.
        _ = &mut connection => return,
        _ = ended.wait_for(|is_ended| *is_ended) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_an_address_to_listen_on() {
        for text in ["127.0.0.1:8000", "127.1.2.3:1", "[::1]:8000"] {
            assert!(text.parse::<LoopbackAddress>().is_ok(), "{text}");
        }
        for text in [
            "0.0.0.0:8000",
            "[::]:8000",
            "10.0.0.1:8000",
            "[::ffff:127.0.0.1]:1",
            "localhost:8000",
            "127.0.0.1",
        ] {
            assert_eq!(
                text.parse::<LoopbackAddress>(),
                Err(NotLoopback { address: text.to_owned() }),
                "{text}"
            );
        }
    }
}
