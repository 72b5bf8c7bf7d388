//! One connection from its accept to its close.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::body;
use super::config::Limits;
use super::handler::{Handler, Peer, PeerAddress, ReceivedRequest, Response, bare};
use super::listener::Listener;
use super::stream::{Stream, WriteStallGuard};
use super::tls::ServerTls;
use super::{Phase, reached};
use crate::metrics::{ActiveConnection, ConnectionMetrics, HandshakeFailure};

/// What all connections of a server share.
pub(super) struct Shared<H> {
    pub(super) handler: H,
    pub(super) limits: Limits,
    pub(super) phases: watch::Receiver<Phase>,
    pub(super) metrics: ConnectionMetrics,
}

/// An accepted connection and its place under the limit.
pub(super) struct Connection<H> {
    stream: WriteStallGuard<Stream>,
    tls: Option<ServerTls>,
    context: Arc<Context<H>>,
}

/// What the requests of a connection share. The place comes free with the last of them.
struct Context<H> {
    shared: Arc<Shared<H>>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
    _active: ActiveConnection,
}

impl<H: Handler> Connection<H> {
    pub(super) fn new(
        (stream, address): (Stream, PeerAddress),
        listener: &Listener,
        shared: Arc<Shared<H>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let active = shared.metrics.accepted(address.transport());
        let stream = WriteStallGuard::new(stream, shared.limits.write_stall_timeout);
        let tls = listener.tls().cloned();
        let peer = Peer { address, tls: tls.is_some(), local: listener.local_address().clone() };
        Self { stream, tls, context: Arc::new(Context { shared, peer, _place: place, _active: active }) }
    }

    /// Serves requests until either side closes. Trouble with one connection is that connection's own: it is logged
    /// for debugging and ends here.
    pub(super) async fn serve(self) {
        let Self { stream, tls, context } = self;
        let Some(tls) = tls else {
            return serve_http(stream, context).await;
        };
        let mut draining = context.shared.phases.clone();
        let handshake = tokio::select! {
            biased;
            () = reached(&mut draining, Phase::Draining) => return,
            handshake = timeout(context.shared.limits.handshake_timeout, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) => serve_http(stream, context).await,
            Ok(Err(error)) => {
                context.shared.metrics.handshake_failed(HandshakeFailure::Error);
                tracing::debug!(peer = %context.peer.address, %error, "TLS handshake failed");
            }
            Err(_) => {
                context.shared.metrics.handshake_failed(HandshakeFailure::Timeout);
                tracing::debug!(peer = %context.peer.address, "TLS handshake timed out");
            }
        }
    }
}

async fn serve_http<H: Handler>(stream: impl AsyncRead + AsyncWrite + Unpin, context: Arc<Context<H>>) {
    let (mut draining, mut closing) = (context.shared.phases.clone(), context.shared.phases.clone());
    let service = service_fn(|request| respond(request, Arc::clone(&context)));
    let limits = &context.shared.limits;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);

    let mut result = tokio::select! {
        biased;
        () = reached(&mut draining, Phase::Draining) => None,
        result = connection.as_mut() => Some(result),
    };
    if result.is_none() {
        connection.as_mut().graceful_shutdown();
        result = tokio::select! {
            biased;
            () = reached(&mut closing, Phase::Closing) => None,
            result = connection.as_mut() => Some(result),
        };
    }
    if let Some(Err(error)) = result {
        tracing::debug!(peer = %context.peer.address, %error, "connection ended with an error");
    }
}

async fn respond<H: Handler>(
    request: Request<Incoming>,
    context: Arc<Context<H>>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, incoming) = request.into_parts();
    let expects_continue = head.headers.contains_key(EXPECT);
    let body = body::receive(incoming, expects_continue, &context.shared.limits).await;
    let request = ReceivedRequest {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: body.content,
        peer: context.peer.clone(),
    };
    let mut response = handle(request, context).await;
    if !body.is_read_to_end {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(Full::new))
}

/// Runs the handler in a task of its own: it outlives a client that goes away, and a panic ends there.
async fn handle<H: Handler>(request: ReceivedRequest, context: Arc<Context<H>>) -> Response {
    let shared = Arc::clone(&context.shared);
    let task = tokio::spawn(async move {
        let mut closing = context.shared.phases.clone();
        tokio::select! {
            biased;
            () = reached(&mut closing, Phase::Closing) => bare(StatusCode::SERVICE_UNAVAILABLE),
            response = context.shared.handler.handle(request) => response,
        }
    });
    task.await.unwrap_or_else(|error| {
        // The panic's message is on standard error by its hook; it may quote the request, so it is not repeated.
        tracing::error!(panicked = error.is_panic(), "a request's handler did not finish");
        shared.handler.answer_to_panic()
    })
}
