//! Where a route leads: a host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::text::shorten;

/// Longest DNS name in text, without the final dot (RFC 1035 section 2.3.4: 255 octets with their length octets).
const MAX_NAME_BYTES: usize = 253;

/// Longest label of a DNS name (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// `HOST:PORT`, the host a DNS name or an IP address, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// A text that is no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no target: expected HOST:PORT with a DNS name or an IP address, such as kms.example.com:443"
)]
pub struct InvalidTarget(pub String);

impl Target {
    /// The name to resolve; `None` for an IP address, which is taken as it is.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Name(_) => None,
            Host::Address(address) => Some(SocketAddr::new(address, self.port)),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTarget(shorten(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_port && *port != 0).ok_or_else(invalid)?;
        Ok(Self { host: parse_host(host).ok_or_else(invalid)?, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
        }
    }
}

fn parse_host(text: &str) -> Option<Host> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let address: Ipv6Addr = bracketed.strip_suffix(']')?.parse().ok()?;
        return Some(Host::Address(address.into()));
    }
    if let Ok(address) = text.parse() {
        // Without brackets an IPv6 address and its port cannot be told apart.
        return matches!(address, IpAddr::V4(_)).then_some(Host::Address(address));
    }
    is_name(text).then(|| Host::Name(text.to_ascii_lowercase()))
}

/// Letters, digits, hyphens and underscores (RFC 1123 section 2.1; services use the underscore). A last label of digits
/// alone is refused: resolvers take such a name for an IPv4 address of another notation, so that `19` becomes 0.0.0.19.
fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_digit()) || label.starts_with("0x") || label.starts_with("0X")
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label) && !is_number(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets_show_as_they_read() {
        for text in [
            "kms.example.com:443",
            "localhost:8443",
            "_broker._tcp.example.com.:1",
            "127.0.0.1:8443",
            "[::1]:65535",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("KMS.Example.com:443".parse::<Target>().unwrap().name(), Some("kms.example.com"));
        let address = "[fe80::1]:80".parse::<Target>().unwrap();
        assert_eq!((address.name(), address.address()), (None, Some("[fe80::1]:80".parse().unwrap())));
    }

    #[test]
    fn what_a_resolver_would_take_for_something_else_is_no_target() {
        let long_label = format!("{}.example:443", "a".repeat(64));
        let long_name = format!("{}:443", ["a"; 128].join("."));
        for text in [
            "",
            ":",
            "host",
            "host:",
            ":443",
            "host:0",
            "host:65536",
            "host:+1",
            "host:443 ",
            "ho st:443",
            "-a.example:1",
            "a-.example:1",
            "a..b:1",
            ".a:1",
            "a/b:1",
            "a@b:1",
            "::1:443",
            "[::1:443",
            "[127.0.0.1]:1",
            "[::1%lo]:1",
            // Not the context id of an enclave, and no IPv4 address in another notation.
            "19:8080",
            "1.2.3:80",
            "0x7f000001:80",
            "1.2.3.4.5:80",
            "256.1.1.1:80",
            &long_label,
            &long_name,
        ] {
            assert_eq!(text.parse::<Target>(), Err(InvalidTarget(shorten(text))));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_a_target_reads_back(text in ".{0,40}|[a-z0-9.:-]{0,12}:[0-9]{0,6}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
