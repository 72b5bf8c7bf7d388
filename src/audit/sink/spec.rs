use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use crate::text::shorten;

/// Where the local syslog daemon listens (syslog(3)).
const LOCAL_SYSLOG: &str = "/dev/log";

/// One sink as the configuration names it.
#[derive(Clone, PartialEq, Eq)]
pub enum SinkSpec {
    /// `file`: the file of the log.
    File,
    /// `stdout`
    Stdout,
    /// `syslog`, `syslog:unix:PATH`, `syslog:udp://HOST:PORT`, `syslog:tcp://HOST:PORT`
    Syslog(SyslogTarget),
    /// `postgres://…`; may hold a password.
    Postgres(String),
}

/// How a syslog receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A Unix datagram socket.
    Unix(PathBuf),
    /// UDP (RFC 5426), host and port.
    Udp(String),
    /// TCP with octet counting (RFC 6587 section 3.4.1), host and port.
    Tcp(String),
}

/// A text that names no sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no audit sink: expected file, stdout, syslog, syslog:unix:PATH, syslog:udp://HOST:PORT, \
     syslog:tcp://HOST:PORT or postgres://…"
)]
pub struct InvalidSink(pub String);

impl FromStr for SinkSpec {
    type Err = InvalidSink;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSink(shorten(&without_password(text)));
        let host_and_port = |text: &str| match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
            _ => Err(invalid()),
        };
        match text {
            "file" => return Ok(Self::File),
            "stdout" => return Ok(Self::Stdout),
            "syslog" => return Ok(Self::Syslog(SyslogTarget::Unix(LOCAL_SYSLOG.into()))),
            _ => {}
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let target = text.strip_prefix("syslog:").ok_or_else(invalid)?;
        if let Some(path) = target.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            Ok(Self::Syslog(SyslogTarget::Unix(path.into())))
        } else if let Some(host) = target.strip_prefix("udp://") {
            Ok(Self::Syslog(SyslogTarget::Udp(host_and_port(host)?)))
        } else if let Some(host) = target.strip_prefix("tcp://") {
            Ok(Self::Syslog(SyslogTarget::Tcp(host_and_port(host)?)))
        } else {
            Err(invalid())
        }
    }
}

/// As it reads, without a password.
impl fmt::Display for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Stdout => f.write_str("stdout"),
            Self::Syslog(SyslogTarget::Unix(path)) => write!(f, "syslog:unix:{}", path.display()),
            Self::Syslog(SyslogTarget::Udp(host)) => write!(f, "syslog:udp://{host}"),
            Self::Syslog(SyslogTarget::Tcp(host)) => write!(f, "syslog:tcp://{host}"),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinkSpec({self})")
    }
}

impl<'de> Deserialize<'de> for SinkSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A URL without what stands before the host, and without its query, where a password may stand too.
fn without_password(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (_, host))) => format!("{scheme}://…@{host}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sinks_show_as_they_read_without_passwords() {
        for text in [
            "file",
            "stdout",
            "syslog:unix:/run/log",
            "syslog:udp://log.example:514",
            "syslog:tcp://[::1]:601",
        ] {
            assert_eq!(text.parse::<SinkSpec>().unwrap().to_string(), text);
        }
        assert_eq!("syslog".parse::<SinkSpec>().unwrap().to_string(), "syslog:unix:/dev/log");
        let database: SinkSpec = "postgres://broker:secret@db.example/audit?password=secret".parse().unwrap();
        assert_eq!(database.to_string(), "postgres://…@db.example/audit");
        assert!(!format!("{database:?}").contains("secret"));
        for text in [
            "",
            "files",
            "syslog:",
            "syslog:unix:",
            "syslog:udp://x",
            "syslog:tcp://x:port",
            "mysql://u:secret@h/d",
        ] {
            let error = text.parse::<SinkSpec>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), tail in ".{0,30}") {
            let _ = text.parse::<SinkSpec>();
            let _ = format!("syslog:{tail}").parse::<SinkSpec>().map(|spec| spec.to_string());
            let _ = format!("postgres://{tail}").parse::<SinkSpec>().map(|spec| spec.to_string());
        }
    }
}
