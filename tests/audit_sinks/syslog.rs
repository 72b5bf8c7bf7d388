//! Syslog receivers on real sockets.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use nitro_key_broker::audit::sink::SinkSpec;
use nitro_key_broker::audit::{AuditLog, AuditSettings};
use nitro_key_broker::time::UnixTime;

use crate::write;

const PATIENCE: Duration = Duration::from_secs(5);

fn start(folder: &tempfile::TempDir, sink: &str) -> (AuditLog, PathBuf) {
    let path = folder.path().join("audit.jsonl");
    let sink = sink.parse::<SinkSpec>().unwrap().build().unwrap().unwrap();
    let settings = AuditSettings { file: Some(path.clone()), sinks: vec![sink], ..AuditSettings::default() };
    (AuditLog::start(settings).unwrap(), path)
}

/// Takes a message apart by the grammar of RFC 5424 section 6; yields its MSG.
fn read_message(message: &[u8]) -> String {
    let message = std::str::from_utf8(message).unwrap();
    let mut parts = message.splitn(8, ' ');
    let mut next = || parts.next().unwrap();
    assert_eq!(next(), "<109>1", "PRI of log audit, notice, and VERSION");
    UnixTime::parse_rfc3339(next()).unwrap();
    let hostname = next();
    assert!(
        !hostname.is_empty() && hostname.len() <= 255 && hostname.bytes().all(|byte| byte.is_ascii_graphic())
    );
    assert_eq!(next(), "nitro-key-broker", "APP-NAME");
    assert_eq!(next(), std::process::id().to_string(), "PROCID");
    assert_eq!(next(), "audit", "MSGID");
    assert_eq!(next(), "-", "no STRUCTURED-DATA");
    next().to_owned()
}

fn lines(path: &PathBuf) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_local_daemon_gets_a_datagram_each() {
    let folder = tempfile::tempdir().unwrap();
    let socket_path = folder.path().join("log.sock");
    let socket = UnixDatagram::bind(&socket_path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (log, path) = start(&folder, &format!("syslog:unix:{}", socket_path.display()));
    write(&log, 0..4).await;
    let mut buffer = vec![0; 65_536];
    let received: Vec<String> = (0..4)
        .map(|_| {
            let len = socket.recv(&mut buffer).unwrap();
            read_message(&buffer[..len])
        })
        .collect();
    assert_eq!(received, lines(&path));

    // A daemon that was started anew has another socket under the same name.
    drop(socket);
    std::fs::remove_file(&socket_path).unwrap();
    let socket = UnixDatagram::bind(&socket_path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write(&log, 4..5).await;
    let len = socket.recv(&mut buffer).unwrap();
    assert_eq!(read_message(&buffer[..len]), lines(&path)[4]);
}

#[tokio::test]
async fn a_receiver_over_udp_gets_a_datagram_each() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (log, path) = start(&folder, &format!("syslog:udp://{}", socket.local_addr().unwrap()));
    write(&log, 0..4).await;
    let mut buffer = vec![0; 65_536];
    for line in lines(&path) {
        let len = socket.recv(&mut buffer).unwrap();
        assert_eq!(read_message(&buffer[..len]), line);
    }
}

#[tokio::test]
async fn a_receiver_over_tcp_gets_counted_octets() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (log, path) = start(&folder, &format!("syslog:tcp://{}", listener.local_addr().unwrap()));
    write(&log, 0..4).await;
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for line in lines(&path) {
        assert_eq!(read_message(&read_frame(&mut stream)), line);
    }
}

/// `MSG-LEN SP SYSLOG-MSG` (RFC 6587 section 3.4.1).
fn read_frame(stream: &mut impl Read) -> Vec<u8> {
    let mut byte = [0];
    let mut count = String::new();
    loop {
        stream.read_exact(&mut byte).unwrap();
        match byte[0] {
            b' ' => break,
            digit => count.push(char::from(digit)),
        }
    }
    assert!(!count.starts_with('0'), "{count}");
    let mut frame = vec![0; count.parse().unwrap()];
    stream.read_exact(&mut frame).unwrap();
    frame
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_counted_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = start(&folder, "syslog:unix:/nonexistent/log.sock");
    write(&log, 0..4).await;
    log.finish().await;
    let counts = log.sink_counts().await;
    assert_eq!((counts[0].taken, counts[0].lost), (0, 4), "{counts:?}");
    assert_eq!(lines(&path).len(), 4);
}
