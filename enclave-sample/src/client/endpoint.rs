//! Where a broker listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;
use thiserror::Error;

/// An address of a broker.
///
/// | form | transport |
/// |---|---|
/// | `https://HOST:PORT` | TCP with TLS |
/// | `http://HOST:PORT` | TCP in the clear |
/// | `unix:/PATH` | a Unix socket, with TLS if configured |
/// | `vsock://CID:PORT` | vsock, with TLS if configured; the parent instance has CID 3 |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `https://HOST:PORT`
    Https(Authority),
    /// `http://HOST:PORT`
    Http(Authority),
    /// `unix:/PATH`
    Unix(PathBuf),
    /// `vsock://CID:PORT`
    Vsock {
        /// The context id.
        cid: u32,
        /// The port.
        port: u32,
    },
}

/// A TCP host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port, 443 or 80 unless given.
    pub port: u16,
}

impl Authority {
    /// The `Host` header (RFC 9110, section 7.2), without the scheme's own port: signatures cover it, and other
    /// clients leave that port out.
    pub(super) fn http_host(&self, default_port: u16) -> String {
        let text = self.to_string();
        match text.strip_suffix(&format!(":{default_port}")) {
            Some(host) if self.port == default_port => host.to_owned(),
            _ => text,
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |reason| InvalidEndpoint { endpoint: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                absolute if absolute.starts_with('/') => Ok(Self::Unix(PathBuf::from(absolute))),
                _ => Err(invalid("a Unix socket needs an absolute path: unix:/run/broker.sock")),
            };
        }
        if let Some(address) = text.strip_prefix("vsock://") {
            let (cid, port) = address
                .split_once(':')
                .and_then(|(cid, port)| Some((cid.parse().ok()?, port.parse().ok()?)))
                .ok_or_else(|| invalid("vsock needs a context id and a port: vsock://3:8000"))?;
            return Ok(Self::Vsock { cid, port });
        }
        let uri: Uri = text.parse().map_err(|_| invalid("not a URL"))?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(invalid("an endpoint has no path and no query"));
        }
        let authority = uri.authority().ok_or_else(|| invalid("an endpoint begins with a scheme"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("an endpoint has no user name"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().ends_with(':') {
            return Err(invalid("an endpoint needs a host, and a port after a colon"));
        }
        let authority = |default_port| Authority { host, port: uri.port_u16().unwrap_or(default_port) };
        match uri.scheme_str() {
            Some("https") => Ok(Self::Https(authority(443))),
            Some("http") => Ok(Self::Http(authority(80))),
            _ => Err(invalid("the schemes are https://, http://, unix: and vsock://")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(authority) => write!(f, "https://{authority}"),
            Self::Http(authority) => write!(f, "http://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { cid, port } => write!(f, "vsock://{cid}:{port}"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A text that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{endpoint:?} is no endpoint: {reason}")]
pub struct InvalidEndpoint {
    endpoint: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Authority {
        Authority { host: host.to_owned(), port }
    }

    #[test]
    fn the_four_forms_parse_and_display() {
        for (text, endpoint) in [
            ("https://broker.internal:8443", Endpoint::Https(tcp("broker.internal", 8443))),
            ("https://[::1]:8443", Endpoint::Https(tcp("::1", 8443))),
            ("http://127.0.0.1:8000", Endpoint::Http(tcp("127.0.0.1", 8000))),
            ("unix:/run/broker.sock", Endpoint::Unix(PathBuf::from("/run/broker.sock"))),
            ("vsock://3:8000", Endpoint::Vsock { cid: 3, port: 8000 }),
        ] {
            assert_eq!(text.parse(), Ok(endpoint.clone()));
            assert_eq!(endpoint.to_string(), text);
        }
        assert_eq!("https://broker".parse(), Ok(Endpoint::Https(tcp("broker", 443))));
        assert_eq!("http://broker/".parse(), Ok(Endpoint::Http(tcp("broker", 80))));
    }

    #[test]
    fn a_host_header_leaves_the_usual_port_out() {
        for (authority, expected) in [
            (tcp("kms.us-east-1.amazonaws.com", 443), "kms.us-east-1.amazonaws.com"),
            (tcp("kms.us-east-1.amazonaws.com", 8443), "kms.us-east-1.amazonaws.com:8443"),
            (tcp("::443", 443), "[::443]"),
            (tcp("::1", 80), "[::1]:80"),
        ] {
            assert_eq!(authority.http_host(443), expected);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "not a URL"),
            ("unix:relative.sock", "a Unix socket needs an absolute path: unix:/run/broker.sock"),
            ("vsock://3", "vsock needs a context id and a port: vsock://3:8000"),
            ("vsock://parent:8000", "vsock needs a context id and a port: vsock://3:8000"),
            ("ftp://broker:21", "the schemes are https://, http://, unix: and vsock://"),
            ("https://broker:443/kms", "an endpoint has no path and no query"),
            ("https://broker:443/?a=b", "an endpoint has no path and no query"),
            ("https://user@broker:443", "an endpoint has no user name"),
            ("https://broker:", "an endpoint needs a host, and a port after a colon"),
        ] {
            let endpoint = text.to_owned();
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint { endpoint, reason }), "{text}");
        }
    }
}
