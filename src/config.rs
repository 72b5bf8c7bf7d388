//! What `serve` is told: `broker.toml` in the data directory, overridden by the command line.

pub mod audit;
pub mod forward;
mod otlp;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

pub use otlp::OtlpSettings;

use self::audit::AuditConfig;
use crate::attestation::Requirements;
use crate::auth::sigv4::{InvalidWindow, MAX_CLOCK_SKEW, MAX_PRESIGNED, SignatureWindow};
use crate::server::{Limits, ListenAddress};
use crate::text::shorten;

/// The file of this name in the data directory.
pub const CONFIG_FILE: &str = "broker.toml";

/// The settings of `serve`. Every one has a default; an unknown one is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen, see [`ListenUrl`].
    #[serde(default)]
    pub listen: Vec<ListenUrl>,
    /// Where the console listens; without, there is none.
    pub console: Option<ListenUrl>,
    /// The server's certificate chain in PEM, for listeners under TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The private key of that certificate in PEM.
    pub tls_key: Option<PathBuf>,
    /// Allows plain HTTP on addresses that other hosts reach.
    #[serde(default)]
    pub allow_plain_non_loopback: bool,
    /// Roots beside that of AWS that evidence may lead to, in PEM.
    #[serde(default)]
    pub trust_anchors: Vec<PathBuf>,
    /// How old a document may be, in seconds.
    pub max_document_age_seconds: Option<u64>,
    /// How far ahead of this host's clock a document may be dated, in seconds.
    pub max_document_ahead_seconds: Option<u64>,
    /// How far from this host's clock a request may be dated when it is signed, in seconds: 1 to 900.
    pub max_clock_skew_seconds: Option<u64>,
    /// How long a presigned request may count, in seconds: up to 604,800, and 0 refuses them.
    pub max_presigned_seconds: Option<u64>,
    /// Accepts enclaves in debug mode.
    #[serde(default)]
    pub allow_debug: bool,
    /// Bytes of a request's body at most.
    pub max_body_bytes: Option<usize>,
    /// Connections at a time at most.
    pub max_connections: Option<u32>,
    /// Where audit records go.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Where counters and health can be asked for.
    pub metrics: Option<ListenUrl>,
    /// Where telemetry goes.
    pub otlp: Option<OtlpSettings>,
}

/// One place to listen: `http://ADDRESS:PORT`, `https://ADDRESS:PORT`, `unix:PATH`, `unix+tls:PATH`, `vsock://any:PORT`,
/// `vsock://CID:PORT` or the same with `vsock+tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenUrl {
    /// The socket.
    pub socket: ListenSocket,
    /// Whether under TLS.
    pub tls: bool,
}

/// The socket of a [`ListenUrl`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenSocket {
    /// Address and port; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
    /// Context id (`None` for any) and port.
    Vsock(Option<u32>, u32),
}

/// A text that is no [`ListenUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no listen URL: expected http://ADDRESS:PORT, https://ADDRESS:PORT, unix:PATH, unix+tls:PATH, \
     vsock://any:PORT, vsock://CID:PORT or vsock+tls://…, with an IP address"
)]
pub struct InvalidListenUrl(pub String);

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not TOML of the right shape.
    #[error("{}: {problem}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        problem: String,
    },
}

impl Config {
    /// Reads `broker.toml` in `directory`; without the file everything has its default.
    ///
    /// # Errors
    /// When the file is there and cannot be read whole.
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        Ok(read_toml(&directory.join(CONFIG_FILE))?.unwrap_or_default())
    }

    /// These settings where `over` leaves one open, `over`'s elsewhere.
    #[must_use]
    pub fn overridden_by(self, over: Self) -> Self {
        // Exhaustive, so that a new setting cannot be forgotten here.
        let Self {
            listen,
            console,
            tls_certificate,
            tls_key,
            allow_plain_non_loopback,
            trust_anchors,
            max_document_age_seconds,
            max_document_ahead_seconds,
            max_clock_skew_seconds,
            max_presigned_seconds,
            allow_debug,
            max_body_bytes,
            max_connections,
            // The command line has no flags for it.
            audit: _,
            metrics,
            otlp,
        } = over;
        Self {
            listen: if listen.is_empty() { self.listen } else { listen },
            console: console.or(self.console),
            tls_certificate: tls_certificate.or(self.tls_certificate),
            tls_key: tls_key.or(self.tls_key),
            allow_plain_non_loopback: allow_plain_non_loopback || self.allow_plain_non_loopback,
            trust_anchors: [self.trust_anchors, trust_anchors].concat(),
            max_document_age_seconds: max_document_age_seconds.or(self.max_document_age_seconds),
            max_document_ahead_seconds: max_document_ahead_seconds.or(self.max_document_ahead_seconds),
            max_clock_skew_seconds: max_clock_skew_seconds.or(self.max_clock_skew_seconds),
            max_presigned_seconds: max_presigned_seconds.or(self.max_presigned_seconds),
            allow_debug: allow_debug || self.allow_debug,
            max_body_bytes: max_body_bytes.or(self.max_body_bytes),
            max_connections: max_connections.or(self.max_connections),
            audit: self.audit,
            metrics: metrics.or(self.metrics),
            otlp: otlp.or(self.otlp),
        }
    }

    /// What is asked of attestation documents.
    pub fn requirements(&self) -> Requirements {
        let default = Requirements::default();
        let seconds = |setting: Option<u64>, default| setting.map_or(default, Duration::from_secs);
        Requirements {
            max_age: seconds(self.max_document_age_seconds, default.max_age),
            max_ahead: seconds(self.max_document_ahead_seconds, default.max_ahead),
            allow_debug: self.allow_debug,
        }
    }

    /// When signatures count.
    ///
    /// # Errors
    /// When a setting is outside its range.
    pub fn signature_window(&self) -> Result<SignatureWindow, InvalidWindow> {
        SignatureWindow::new(
            self.max_clock_skew_seconds.unwrap_or(MAX_CLOCK_SKEW.as_secs()),
            self.max_presigned_seconds.unwrap_or(MAX_PRESIGNED.as_secs()),
        )
    }

    /// What clients may take.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            max_body_bytes: self.max_body_bytes.unwrap_or(default.max_body_bytes),
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            ..default
        }
    }
}

/// The settings in the file at `path`, if there is one.
fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map(Some)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), problem: error.to_string() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::Io { path: path.to_owned(), error }),
    }
}

impl ListenUrl {
    /// The socket as the server takes it.
    pub fn address(&self, allow_plain_non_loopback: bool) -> ListenAddress {
        match &self.socket {
            ListenSocket::Tcp(address) => ListenAddress::Tcp { address: *address, allow_plain_non_loopback },
            ListenSocket::Unix(path) => {
                ListenAddress::Unix { path: path.clone(), mode: ListenAddress::DEFAULT_UNIX_MODE }
            }
            ListenSocket::Vsock(cid, port) => {
                ListenAddress::Vsock { cid: cid.unwrap_or(ListenAddress::VMADDR_CID_ANY), port: *port }
            }
        }
    }
}

impl FromStr for ListenUrl {
    type Err = InvalidListenUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidListenUrl(shorten(text));
        let (scheme, rest) = text.split_once(':').ok_or_else(invalid)?;
        let authority = || rest.strip_prefix("//").ok_or_else(invalid);
        let tcp = |tls| -> Result<Self, InvalidListenUrl> {
            let authority = authority()?.trim_end_matches('/');
            Ok(Self { socket: ListenSocket::Tcp(authority.parse().map_err(|_| invalid())?), tls })
        };
        let unix = |tls| match rest {
            "" => Err(invalid()),
            path => Ok(Self { socket: ListenSocket::Unix(path.into()), tls }),
        };
        let vsock = |tls| -> Result<Self, InvalidListenUrl> {
            let (cid, port) = authority()?.split_once(':').ok_or_else(invalid)?;
            let cid = match cid {
                "any" => None,
                cid => Some(cid.parse().map_err(|_| invalid())?),
            };
            Ok(Self { socket: ListenSocket::Vsock(cid, port.parse().map_err(|_| invalid())?), tls })
        };
        match scheme {
            "http" => tcp(false),
            "https" => tcp(true),
            "unix" => unix(false),
            "unix+tls" => unix(true),
            "vsock" => vsock(false),
            "vsock+tls" => vsock(true),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "+tls" } else { "" };
        match &self.socket {
            ListenSocket::Tcp(address) => {
                write!(f, "{}://{address}", if self.tls { "https" } else { "http" })
            }
            ListenSocket::Unix(path) => write!(f, "unix{tls}:{}", path.display()),
            ListenSocket::Vsock(None, port) => write!(f, "vsock{tls}://any:{port}"),
            ListenSocket::Vsock(Some(cid), port) => write!(f, "vsock{tls}://{cid}:{port}"),
        }
    }
}

impl<'de> Deserialize<'de> for ListenUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn listen_urls_show_as_they_read() {
        for text in [
            "http://127.0.0.1:8080",
            "https://[::1]:0",
            "unix:/run/broker.sock",
            "unix+tls:broker.sock",
            "vsock://any:8000",
            "vsock+tls://3:8000",
        ] {
            assert_eq!(text.parse::<ListenUrl>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "http",
            "http:127.0.0.1:80",
            "http://localhost:80",
            "unix:",
            "vsock://x:1",
            "vsock://1",
            "ftp://x",
        ] {
            assert!(text.parse::<ListenUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_wins_and_trust_anchors_add_up() {
        let file: Config = toml::from_str(
            "listen = ['unix:/a']\ntrust_anchors = ['file.pem']\nmax_document_age_seconds = 60\nallow_debug = true",
        )
        .unwrap();
        let flags = Config {
            listen: vec!["unix:/b".parse().unwrap()],
            trust_anchors: vec!["flag.pem".into()],
            max_connections: Some(7),
            ..Config::default()
        };
        let merged = file.overridden_by(flags);
        assert_eq!(merged.listen, ["unix:/b".parse().unwrap()]);
        assert_eq!(merged.trust_anchors, [PathBuf::from("file.pem"), PathBuf::from("flag.pem")]);
        assert_eq!(merged.requirements().max_age, Duration::from_secs(60));
        assert!(merged.requirements().allow_debug);
        assert_eq!(merged.limits().max_connections, 7);
    }

    #[test]
    fn signatures_count_as_long_as_with_aws_unless_told_otherwise() {
        let read = |text| toml::from_str::<Config>(text).unwrap().signature_window();
        assert_eq!(read(""), Ok(SignatureWindow::default()));
        let tight = read("max_clock_skew_seconds = 60\nmax_presigned_seconds = 0");
        assert_eq!(tight, SignatureWindow::new(60, 0));
        assert_eq!(read("max_clock_skew_seconds = 901"), Err(InvalidWindow::Skew(901)));
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        let error = toml::from_str::<Config>("allow_debugs = true").unwrap_err().to_string();
        assert!(error.contains("unknown field `allow_debugs`"), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), tail in ".{0,40}") {
            let _ = text.parse::<ListenUrl>();
            let _ = format!("vsock://{tail}").parse::<ListenUrl>();
            let _ = toml::from_str::<Config>(&text);
        }
    }
}
