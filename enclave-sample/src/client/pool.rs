//! HTTP/1.1 connections to one endpoint, kept alive between requests.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::error::ClientError;
use super::transport::{Connector, TransportError, TransportSecurity};

/// The longest answer that is read, in bytes. Blobs of the service model come to some 20 KiB in base64; a megabyte is
/// what the broker itself takes in a request.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// How long an answer may take once there is a connection.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The most connections of one client at a time; further requests wait. A broker takes 512 from all its clients.
pub const MAX_CONNECTIONS: usize = 64;

/// How long an idle connection is kept. The broker closes one after 30 seconds; a request that meets its end would
/// have to be sent again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The headers of an answer come to a few hundred bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `x-amzn-RequestId`.
    pub request_id: Option<String>,
    /// The JSON, as a rule.
    pub body: Bytes,
}

/// Each request has a connection of its own while it lasts, so that answers cannot be mixed up.
pub(super) struct Pool {
    connector: Connector,
    idle: Mutex<Vec<Idle>>,
    permits: Semaphore,
}

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, security: TransportSecurity) -> Result<Self, TransportError> {
        let connector = Connector::new(endpoint, security)?;
        Ok(Self { connector, idle: Mutex::default(), permits: Semaphore::new(MAX_CONNECTIONS) })
    }

    /// The value for the `host` header.
    pub(super) fn host(&self) -> &str {
        self.connector.host()
    }

    /// Posts `body` to `/`. A request that finds a kept connection closed is sent once more over a new one: none of
    /// the operations does harm when it happens twice.
    pub(super) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        // Closed never, so this waits until there is room.
        let _permit = self.permits.acquire().await.map_err(|_| ClientError::Closed)?;
        // A connection is out of its place during the exchange, so one that was given up on is never used again.
        if let Some(mut sender) = self.take_idle(Instant::now()) {
            match exchange(&mut sender, request(headers, body.clone())?).await {
                Ok(answer) => {
                    self.keep(sender);
                    return Ok(answer);
                }
                Err(ClientError::Http(error)) if was_closed_while_idle(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut sender = self.connect().await?;
        let answer = exchange(&mut sender, request(headers, body)?).await?;
        self.keep(sender);
        Ok(answer)
    }

    /// The connection used last: the others get their rest, and their end.
    fn take_idle(&self, now: Instant) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|Idle { sender, since }| {
            !sender.is_closed() && now.saturating_duration_since(*since) < IDLE_TIMEOUT
        });
        idle.pop().map(|Idle { sender, .. }| sender)
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { sender, since: Instant::now() });
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let stream = self.connector.connect().await?;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEADER_BYTES).handshake(TokioIo::new(stream)).await?;
        // Ends when the sender is dropped. What goes wrong reaches the request that is under way.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connector", &self.connector).finish_non_exhaustive()
    }
}

fn request(headers: &[(&'static str, String)], body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut builder = Request::post("/");
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder.body(Full::new(body)).map_err(|error| ClientError::Request(error.to_string()))
}

fn was_closed_while_idle(error: &hyper::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let io_kind = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    error.is_canceled()
        || error.is_closed()
        || error.is_incomplete_message()
        || matches!(io_kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, ClientError> {
    let answer = async {
        sender.ready().await?;
        read(sender.send_request(request).await?).await
    };
    timeout(REQUEST_TIMEOUT, answer).await.unwrap_or(Err(ClientError::Timeout { after: REQUEST_TIMEOUT }))
}

async fn read(response: Response<Incoming>) -> Result<Answer, ClientError> {
    let status = response.status().as_u16();
    let request_id =
        response.headers().get("x-amzn-requestid").and_then(|value| value.to_str().ok()).map(str::to_owned);
    match Limited::new(response.into_body(), MAX_RESPONSE_BYTES).collect().await {
        Ok(body) => Ok(Answer { status, request_id, body: body.to_bytes() }),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ClientError::ResponseTooLong { limit: MAX_RESPONSE_BYTES })
        }
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => ClientError::Http(*error),
            Err(error) => ClientError::Json(error.to_string()),
        }),
    }
}
