//! A plain HTTP client: it speaks AWS JSON 1.1 when asked to, and anything else as well.

use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// One connection, kept alive.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub async fn over_tcp(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub async fn over_unix(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).await.unwrap()).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        Self { sender }
    }

    /// One operation with its members, unsigned.
    pub async fn call(&mut self, operation: &str, members: &Value) -> Answer {
        self.post(operation, members.to_string()).await
    }

    /// One operation with a body that may be no JSON at all.
    pub async fn post(&mut self, operation: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(operation, body)).await
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// As [`Client::send`], where the connection may break.
    pub async fn try_send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// The request that a KMS client sends, without a signature.
pub fn request(operation: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/")
        .header("host", "kms.example")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("TrentService.{operation}"))
        .body(Full::new(body.into()))
        .unwrap()
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    pub fn request_id(&self) -> &str {
        self.header("x-amzn-requestid")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The members of a successful answer, with what every answer has checked.
    #[track_caller]
    pub fn members(&self) -> Value {
        self.check_head();
        let members = self.json();
        assert_eq!(self.status, 200, "{members}");
        members
    }

    /// A refusal as `<status> <exception>: <message>`, with what every answer has checked.
    #[track_caller]
    pub fn refusal(&self) -> String {
        self.check_head();
        let members = self.json();
        let mut names: Vec<&String> = members.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["__type", "message"], "{members}");
        let text = |name: &str| members[name].as_str().unwrap().to_owned();
        format!("{} {}: {}", self.status, text("__type"), text("message"))
    }

    #[track_caller]
    fn check_head(&self) {
        assert_eq!(self.header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(self.header("cache-control"), "no-store");
        uuid::Uuid::try_parse(self.request_id()).unwrap();
    }
}
