//! Records as syslog messages (RFC 5424), one each.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::system::uname;

use super::{AuditSink, ChainedRecord, SinkError, SyslogTarget};
use crate::audit::chain::ChainHead;
use crate::audit::record::AuditRecord;
use crate::time::UnixTime;

/// Facility 13, log audit, severity 5, notice (RFC 5424 section 6.2.1): 13 · 8 + 5.
const PRIORITY: u8 = 109;
/// Characters of a HOSTNAME at most (RFC 5424 section 6).
const MAX_HOSTNAME: usize = 255;
/// How long a receiver may keep a connection or a write waiting.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct SyslogSink {
    target: SyslogTarget,
    hostname: String,
    connection: Option<Connection>,
}

enum Connection {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl SyslogSink {
    pub(super) fn new(target: SyslogTarget) -> Self {
        Self { target, hostname: hostname(), connection: None }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), SinkError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(Connection::open(&self.target).map_err(SinkError::new)?),
        };
        let sent = connection.send(message);
        if sent.is_err() {
            // Of a stream nobody knows where it was cut; the next message begins another.
            self.connection = None;
        }
        sent.map_err(SinkError::new)
    }
}

impl AuditSink for SyslogSink {
    fn name(&self) -> String {
        super::SinkSpec::Syslog(self.target.clone()).to_string()
    }

    fn write(&mut self, records: &[ChainedRecord], _: &ChainHead) -> Result<(), SinkError> {
        records.iter().try_for_each(|record| {
            let message = message(&record.line, &self.hostname);
            // A receiver that was started anew has closed the connection, which only a write tells.
            self.send(&message).or_else(|_| self.send(&message))
        })
    }
}

impl Connection {
    fn open(target: &SyslogTarget) -> std::io::Result<Self> {
        match target {
            SyslogTarget::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(TIMEOUT))?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
            SyslogTarget::Udp(host) => {
                let address = resolve(host)?;
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }
            SyslogTarget::Tcp(host) => {
                let stream = TcpStream::connect_timeout(&resolve(host)?, TIMEOUT)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send(message).map(drop),
            Self::Udp(socket) => socket.send(message).map(drop),
            Self::Tcp(stream) => {
                let frame = [format!("{} ", message.len()).as_bytes(), message].concat();
                stream.write_all(&frame)
            }
        }
    }
}

fn resolve(host: &str) -> std::io::Result<SocketAddr> {
    let none = || std::io::Error::other(format!("{host} has no address"));
    host.to_socket_addrs()?.next().ok_or_else(none)
}

/// `HEADER SP STRUCTURED-DATA SP MSG` of RFC 5424 section 6. The message is the record's JSON without its line end; it has
/// no byte order mark, which JSON must not begin with (RFC 8259 section 8.1).
fn message(line: &[u8], hostname: &str) -> Vec<u8> {
    let time = AuditRecord::parse(line).map_or_else(|_| UnixTime::now(), |record| record.time);
    let process = std::process::id();
    let mut message =
        format!("<{PRIORITY}>1 {time} {hostname} nitro-key-broker {process} audit - ").into_bytes();
    message.extend_from_slice(line.trim_ascii_end());
    message
}

/// The host's name in printable ASCII, or the nil value.
fn hostname() -> String {
    let name = uname().nodename().to_string_lossy().into_owned();
    let is_valid =
        !name.is_empty() && name.len() <= MAX_HOSTNAME && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid { name } else { "-".to_owned() }
}
