//! A request as the pages take it: path, parameters, cookie, and whether it may be answered at all.

use std::net::IpAddr;

use hyper::header::{COOKIE, HOST, HeaderName, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method};

use crate::server::{BodyError, Peer, PeerAddress, ReceivedRequest};

/// Pairs of a query or form at most; the largest form has ten.
const MAX_PARAMETERS: usize = 32;

/// What a browser says of where a request was caused (Fetch Metadata Request Headers, W3C).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request to a page.
pub(super) struct Request {
    /// As it came.
    pub method: Method,
    /// As it came: no page has a name that needs percent-encoding.
    pub path: String,
    /// Of the URL.
    pub query: Parameters,
    /// Every header.
    pub headers: HeaderMap,
    /// Who sent it.
    pub peer: Peer,
}

/// Decoded pairs of a query or form, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

/// Why a request is not answered by a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unacceptable {
    /// A page of another name may have caused it (DNS rebinding).
    #[error("without TLS, the console answers only to localhost, 127.0.0.1 and [::1]")]
    Host,
    /// Another site may have caused it.
    #[error("this request does not come from a page of the console")]
    CrossSite,
    /// Its body is missing or too long.
    #[error("{0}")]
    Body(BodyError),
    /// More parameters than any page takes.
    #[error("more than {MAX_PARAMETERS} parameters")]
    Parameters,
}

impl Request {
    /// Takes the request apart, and its form if it is a POST.
    pub(super) fn read(received: ReceivedRequest) -> Result<(Self, Parameters), Unacceptable> {
        let ReceivedRequest { method, uri, headers, body, peer } = received;
        if !peer.tls && !is_loopback_name(&headers) {
            return Err(Unacceptable::Host);
        }
        if method == Method::POST && !is_same_origin(&headers, peer.tls) {
            return Err(Unacceptable::CrossSite);
        }
        let body = body.map_err(Unacceptable::Body)?;
        let form = match method {
            Method::POST => Parameters::parse(&body)?,
            _ => Parameters::default(),
        };
        let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes())?;
        Ok((Self { method, path: uri.path().to_owned(), query, headers, peer }, form))
    }

    /// The first cookie of this name.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The address that sign-ins are counted by.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.peer.address {
            PeerAddress::Tcp(address) => Some(address.ip().to_canonical()),
            PeerAddress::Unix { .. } | PeerAddress::Vsock { .. } => None,
        }
    }
}

impl Parameters {
    fn parse(text: &[u8]) -> Result<Self, Unacceptable> {
        let pairs: Vec<_> = form_urlencoded::parse(text)
            .take(MAX_PARAMETERS + 1)
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if pairs.len() > MAX_PARAMETERS { Err(Unacceptable::Parameters) } else { Ok(Self(pairs)) }
    }

    /// The first value of this name; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// As [`Parameters::get`], without the white space around it, where there is something.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }
}

/// Whether the request names this host by a name that nobody else can point here.
fn is_loopback_name(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a page of the console sent it. A browser that does not send `Sec-Fetch-Site` sends `Origin` with every POST.
fn is_same_origin(headers: &HeaderMap, tls: bool) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let (Some(origin), Some(host)) = (headers.get(ORIGIN), headers.get(HOST)) else { return false };
    let scheme: &[u8] = if tls { b"https://" } else { b"http://" };
    origin.as_bytes().strip_prefix(scheme) == Some(host.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::LocalAddress;
    use hyper::body::Bytes;
    use proptest::prelude::*;

    fn received(method: Method, headers: &[(&'static str, &str)], tls: bool) -> ReceivedRequest {
        ReceivedRequest {
            method,
            uri: "/keys?a=1&b=%3Cb%3E+c".parse().unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect(),
            body: Ok(Bytes::from_static(b"name=alice&password=p%26q")),
            peer: Peer {
                address: PeerAddress::Tcp("127.0.0.1:5000".parse().unwrap()),
                local: LocalAddress::Tcp("127.0.0.1:8090".parse().unwrap()),
                tls,
            },
        }
    }

    fn refusal(method: Method, headers: &[(&'static str, &str)], tls: bool) -> Option<Unacceptable> {
        Request::read(received(method, headers, tls)).err()
    }

    #[test]
    fn without_tls_only_names_of_the_loopback_are_answered() {
        for host in ["127.0.0.1:8090", "localhost", "LOCALHOST:1", "[::1]:8090", "127.8.8.8"] {
            assert_eq!(refusal(Method::GET, &[("host", host)], false), None, "{host}");
        }
        for host in ["evil.example:8090", "10.0.0.1", "localhost.evil.example", "", "127.0.0.1.evil.example"]
        {
            assert_eq!(refusal(Method::GET, &[("host", host)], false), Some(Unacceptable::Host), "{host}");
            // Under TLS the browser has compared the name with the certificate.
            assert_eq!(refusal(Method::GET, &[("host", host)], true), None, "{host}");
        }
        assert_eq!(refusal(Method::GET, &[], false), Some(Unacceptable::Host));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(refusal(Method::GET, &twice, false), Some(Unacceptable::Host));
    }

    #[test]
    fn only_pages_of_the_console_post() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:8090");
        let refused = |header| refusal(Method::POST, &[HOST, header], false);
        assert_eq!(refused(("sec-fetch-site", "same-origin")), None);
        assert_eq!(refused(("origin", "http://127.0.0.1:8090")), None);
        for header in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("origin", "http://127.0.0.1:8091"),
            ("origin", "https://127.0.0.1:8090"),
            ("origin", "null"),
            ("accept", "*/*"),
        ] {
            assert_eq!(refused(header), Some(Unacceptable::CrossSite), "{header:?}");
        }
        // What the browser says of the site counts before the origin.
        let both = [HOST, ("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8090")];
        assert_eq!(refusal(Method::POST, &both, false), Some(Unacceptable::CrossSite));
    }

    #[test]
    fn parameters_and_cookies_are_read() {
        let headers = [("host", "localhost"), ("cookie", "x=1; session=abc"), ("origin", "http://localhost")];
        let (request, form) = Request::read(received(Method::POST, &headers, false)).unwrap();
        assert_eq!((request.query.get("a"), request.query.get("b")), ("1", "<b> c"));
        assert_eq!((form.get("name"), form.get("password"), form.get("none")), ("alice", "p&q", ""));
        assert_eq!((request.cookie("session"), request.cookie("sess")), (Some("abc"), None));
        assert_eq!(Parameters::parse("a=1&".repeat(40).as_bytes()), Err(Unacceptable::Parameters));
    }

    proptest! {
        #[test]
        fn arbitrary_parameters_never_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parameters::parse(&text);
        }
    }
}
