//! Bytes both ways, until both sides have ended.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::metrics::{Failure, RouteMetrics};

/// What is read before it is written on, each way. Nothing more is read while it cannot be written, so a side that does
/// not read holds up the other and takes no memory.
const BUFFER_BYTES: usize = 16 * 1024;

/// Carries bytes between `enclave` and `target`. When one side ends its half, the other side is told so and may go on
/// sending, as TCP and vsock allow.
pub(super) async fn relay(
    enclave: impl AsyncRead + AsyncWrite + Unpin,
    target: TcpStream,
    idle_timeout: Duration,
    metrics: &RouteMetrics,
) -> Result<(), Failure> {
    let progress = Progress::new();
    let mut enclave = Watched::new(enclave, &progress, metrics.bytes_to_enclave());
    let mut target = Watched::new(target, &progress, metrics.bytes_to_target());
    let copied = tokio::select! {
        copied = copy_bidirectional_with_sizes(&mut enclave, &mut target, BUFFER_BYTES, BUFFER_BYTES) => copied,
        () = progress.ceased_for(idle_timeout) => return Err(Failure::Idle),
    };
    match copied {
        Ok(_) => Ok(()),
        Err(_) if target.has_failed => target.broken(Failure::BrokenByTarget),
        Err(_) => {
            // A reset for a reset: with an orderly end the target could take half a request for a whole one.
            let _ = target.inner.set_zero_linger();
            enclave.broken(Failure::BrokenByEnclave)
        }
    }
}

/// When a byte last moved.
struct Progress {
    start: Instant,
    last_ms: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    fn note(&self) {
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Resolves once no byte has moved for `limit`.
    async fn ceased_for(&self, limit: Duration) {
        loop {
            let end = self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + limit;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// A stream that tells of progress, counts what is written to it, and knows how it ended.
struct Watched<'w, S> {
    inner: S,
    progress: &'w Progress,
    written: &'w AtomicU64,
    /// It has sent all that it had to send.
    has_ended: bool,
    has_failed: bool,
}

impl<'w, S> Watched<'w, S> {
    fn new(inner: S, progress: &'w Progress, written: &'w AtomicU64) -> Self {
        Self { inner, progress, written, has_ended: false, has_failed: false }
    }

    /// How the connection ended when this side broke it. One that has sent all and then takes no more is closed: TLS has a
    /// last word that clients do not wait for.
    fn broken(&self, failure: Failure) -> Result<(), Failure> {
        if self.has_ended { Ok(()) } else { Err(failure) }
    }

    fn watch<T>(&mut self, result: io::Result<T>) -> Poll<io::Result<T>> {
        match &result {
            Ok(_) => self.progress.note(),
            Err(_) => self.has_failed = true,
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buf.filled().len();
        let result = ready!(Pin::new(&mut this.inner).poll_read(cx, buf));
        this.has_ended |= result.is_ok() && buf.filled().len() == filled && buf.remaining() > 0;
        this.watch(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.inner).poll_write(cx, buf));
        if let Ok(written) = &result {
            this.written.fetch_add(u64::try_from(*written).unwrap_or(0), Ordering::Relaxed);
        }
        this.watch(result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match ready!(Pin::new(&mut this.inner).poll_shutdown(cx)) {
            // It has gone already, and what it sent has been read.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => this.watch(result),
        }
    }
}
