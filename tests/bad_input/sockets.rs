//! What is no HTTP at all, over TCP and the Unix socket.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Stage;

#[tokio::test]
async fn garbage_is_dropped_and_everybody_else_served() {
    let mut stage = Stage::set().await;
    let good = stage.good_request();
    let head = "POST / HTTP/1.1\r\nHost: b\r\nContent-Type: application/x-amz-json-1.1\r\n\
                X-Amz-Target: TrentService.GenerateDataKey\r\n";
    for garbage in [
        b"\0".repeat(100_000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET / HTTP/0.9\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nzz".to_vec(),
        format!("{head}Content-Length: -5\r\n\r\n{good}").into_bytes(),
        format!("{head}Content-Length: 99999999999999999999\r\n\r\n{good}").into_bytes(),
        format!("{head}Content-Length: {}\r\nContent-Length: 3\r\n\r\n{good}", good.len()).into_bytes(),
        format!("{head}X-Long: {}\r\n\r\n", "x".repeat(100_000)).into_bytes(),
        format!("{head}{}\r\n", "X-Many: 1\r\n".repeat(500)).into_bytes(),
    ] {
        let tcp = TcpStream::connect(stage.broker.address()).await.unwrap();
        let unix = UnixStream::connect(stage.broker.folder().join("broker.sock")).await.unwrap();
        for reply in [throw(tcp, &garbage).await, throw(unix, &garbage).await] {
            let start = &garbage[..garbage.len().min(60)];
            let is_refused = ["HTTP/1.1 400", "HTTP/1.1 431"].iter().any(|status| reply.starts_with(status));
            assert!(reply.is_empty() || is_refused, "{}: {reply}", start.escape_ascii());
            assert!(!reply.contains("CiphertextBlob"));
        }
        stage.check_both_connections_go_on().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_record_and_no_trouble() {
    let mut stage = Stage::set().await;
    let body = stage.good_request();
    for cut in [0, 1, body.len() / 2, body.len() - 1, body.len()] {
        let mut stream = TcpStream::connect(stage.broker.address()).await.unwrap();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: b\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: TrentService.GenerateDataKey\r\nContent-Length: {}\r\n\r\n{}",
            body.len(),
            &body[..cut]
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        drop(stream);
        stage.check_both_connections_go_on().await;
    }
    // The one that was sent whole is decided and recorded, whether or not anybody waits; so are the broken ones.
    let outcomes = |name: &str| {
        let records = stage.broker.audit_records();
        records.iter().filter(|record| record["additionalEventData"]["decision"]["outcome"] == name).count()
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while outcomes("allowed") < 11 || outcomes("malformed") < 4 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", stage.broker.audit_records());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((outcomes("allowed"), outcomes("malformed")), (11, 4));
}

/// Sends what it can and reads what comes.
async fn throw(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    let mut reply = Vec::new();
    let exchange = async {
        // The broker may close before all of it is sent.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut reply).await;
    };
    timeout(Duration::from_secs(10), exchange).await.expect("closed in time");
    String::from_utf8_lossy(&reply).into_owned()
}
