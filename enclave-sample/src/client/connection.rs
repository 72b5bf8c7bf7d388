//! One HTTP/1.1 connection, kept alive between requests.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::error::ClientError;
use super::transport::{Connector, TransportError, TransportSecurity};

/// The longest answer that is read, in bytes. Blobs of the service model come to some 20 KiB in base64; a megabyte is
/// what the broker itself takes in a request.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// How long an answer may take once there is a connection.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The headers of an answer come to a few hundred bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) body: Bytes,
}

pub(super) struct HttpConnection {
    connector: Connector,
    idle: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl HttpConnection {
    pub(super) fn new(endpoint: Endpoint, security: TransportSecurity) -> Result<Self, TransportError> {
        Ok(Self { connector: Connector::new(endpoint, security)?, idle: Mutex::new(None) })
    }

    /// The value for the `host` header.
    pub(super) fn host(&self) -> &str {
        self.connector.host()
    }

    /// Posts `body` to `/`. A request that finds the kept connection closed is sent once more over a new one: none of
    /// the operations does harm when it happens twice.
    pub(super) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        // The connection stays out of its place during the exchange, so one that was given up on is never used again.
        let mut idle = self.idle.lock().await;
        if let Some(mut sender) = idle.take().filter(|sender| !sender.is_closed()) {
            match exchange(&mut sender, request(headers, body.clone())?).await {
                Ok(answer) => {
                    *idle = Some(sender);
                    return Ok(answer);
                }
                Err(ClientError::Http(error)) if was_closed_while_idle(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut sender = self.connect().await?;
        let answer = exchange(&mut sender, request(headers, body)?).await?;
        *idle = Some(sender);
        Ok(answer)
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

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection").field("connector", &self.connector).finish_non_exhaustive()
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
