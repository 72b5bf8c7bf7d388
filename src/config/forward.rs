//! What `forward` is told: a file of its own, overridden by the command line.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, ListenSocket, ListenUrl, read_toml};
use crate::forward::{ForwardConfig, ForwardLimits, Route, Target};
use crate::text::shorten;

/// The settings of `forward`. Every one but the routes has a default; an unknown one is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardSettings {
    /// What enclaves may reach.
    #[serde(default, rename = "route")]
    pub routes: Vec<RouteSetting>,
    /// Where the counters can be read, a loopback address.
    pub metrics: Option<SocketAddr>,
    /// Connections at a time on each route.
    pub max_connections: Option<u32>,
    /// How long a connection is kept waiting for its target, in seconds.
    pub connect_patience_seconds: Option<u64>,
    /// How long a connection may stand still, in seconds.
    pub idle_timeout_seconds: Option<u64>,
    /// How long connections may go on at shutdown, in seconds.
    pub drain_timeout_seconds: Option<u64>,
}

/// One route: in the file a table with `listen` and `target`, on the command line `LISTEN=HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSetting {
    /// Where enclaves connect: `vsock://any:PORT`, `vsock://CID:PORT` or `unix:PATH`.
    pub listen: ListenUrl,
    /// Where their connections go, `HOST:PORT`.
    #[serde(deserialize_with = "deserialize_target")]
    pub target: Target,
}

/// A text that is no [`RouteSetting`], or one that enclaves cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoute {
    /// The two halves cannot be told apart.
    #[error("{0:?} is no route: expected LISTEN=HOST:PORT, such as vsock://any:8443=broker.example.com:8443")]
    Form(String),
    /// One half is wrong.
    #[error("{0}")]
    Part(String),
    /// Enclaves have no network, and the bytes are carried as they are.
    #[error("a route listens on vsock://any:PORT, vsock://CID:PORT or unix:PATH, not on {0}")]
    Listen(ListenUrl),
}

impl ForwardSettings {
    /// Reads the TOML file at `path`.
    ///
    /// # Errors
    /// When it cannot be read whole.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        read_toml(path)?.ok_or_else(|| ConfigError::Io {
            path: path.to_owned(),
            error: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// These settings where `over` leaves one open, `over`'s elsewhere; routes add up.
    #[must_use]
    pub fn overridden_by(self, over: Self) -> Self {
        // Exhaustive, so that a new setting cannot be forgotten here.
        let Self {
            routes,
            metrics,
            max_connections,
            connect_patience_seconds,
            idle_timeout_seconds,
            drain_timeout_seconds,
        } = over;
        Self {
            routes: [self.routes, routes].concat(),
            metrics: metrics.or(self.metrics),
            max_connections: max_connections.or(self.max_connections),
            connect_patience_seconds: connect_patience_seconds.or(self.connect_patience_seconds),
            idle_timeout_seconds: idle_timeout_seconds.or(self.idle_timeout_seconds),
            drain_timeout_seconds: drain_timeout_seconds.or(self.drain_timeout_seconds),
        }
    }

    /// The settings as the forwarder takes them.
    ///
    /// # Errors
    /// When a route listens where no enclave can connect.
    pub fn forward_config(&self) -> Result<ForwardConfig, InvalidRoute> {
        let routes = self.routes.iter().map(RouteSetting::route).collect::<Result<_, _>>()?;
        let default = ForwardLimits::default();
        let seconds = |setting: Option<u64>, default| setting.map_or(default, Duration::from_secs);
        let limits = ForwardLimits {
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            connect_patience: seconds(self.connect_patience_seconds, default.connect_patience),
            idle_timeout: seconds(self.idle_timeout_seconds, default.idle_timeout),
            drain_timeout: seconds(self.drain_timeout_seconds, default.drain_timeout),
            ..default
        };
        Ok(ForwardConfig { routes, limits, metrics: self.metrics })
    }
}

impl RouteSetting {
    fn route(&self) -> Result<Route, InvalidRoute> {
        match (&self.listen.socket, self.listen.tls) {
            (ListenSocket::Unix(_) | ListenSocket::Vsock(..), false) => {
                Ok(Route { listen: self.listen.address(false), target: self.target.clone() })
            }
            _ => Err(InvalidRoute::Listen(self.listen.clone())),
        }
    }
}

impl FromStr for RouteSetting {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A path may hold the sign, a target does not.
        let (listen, target) = text.rsplit_once('=').ok_or_else(|| InvalidRoute::Form(shorten(text)))?;
        let route = Self {
            listen: listen.parse().map_err(|error| InvalidRoute::Part(format!("{error}")))?,
            target: target.parse().map_err(|error| InvalidRoute::Part(format!("{error}")))?,
        };
        route.route().map(|_| route)
    }
}

fn deserialize_target<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::server::ListenAddress;

    #[test]
    fn the_file_and_the_command_line_add_up() {
        let file: ForwardSettings = toml::from_str(
            "metrics = '127.0.0.1:9464'\nidle_timeout_seconds = 60\n\
             [[route]]\nlisten = 'vsock://any:8443'\ntarget = 'broker.example.com:8443'\n",
        )
        .unwrap();
        let flags = ForwardSettings {
            routes: vec!["unix:/run/a=b.sock=[::1]:443".parse().unwrap()],
            max_connections: Some(7),
            ..ForwardSettings::default()
        };
        let config = file.overridden_by(flags).forward_config().unwrap();
        assert_eq!(
            config.routes[0],
            Route {
                listen: ListenAddress::Vsock { cid: ListenAddress::VMADDR_CID_ANY, port: 8443 },
                target: "broker.example.com:8443".parse().unwrap(),
            }
        );
        let unix =
            ListenAddress::Unix { path: "/run/a=b.sock".into(), mode: ListenAddress::DEFAULT_UNIX_MODE };
        assert_eq!(config.routes[1].listen, unix);
        assert_eq!(config.metrics, Some("127.0.0.1:9464".parse().unwrap()));
        let expected = ForwardLimits {
            max_connections: 7,
            idle_timeout: Duration::from_secs(60),
            ..ForwardLimits::default()
        };
        assert_eq!(config.limits, expected);
    }

    #[test]
    fn a_route_that_no_enclave_can_use_is_refused() {
        let parse = |text: &str| text.parse::<RouteSetting>().unwrap_err();
        assert_eq!(parse("vsock://any:1"), InvalidRoute::Form("vsock://any:1".into()));
        assert!(matches!(parse("vsock://any=host:1"), InvalidRoute::Part(_)));
        assert!(matches!(parse("vsock://any:1=host"), InvalidRoute::Part(_)));
        for listen in ["http://127.0.0.1:1", "https://127.0.0.1:1", "vsock+tls://any:1", "unix+tls:/a"] {
            assert_eq!(parse(&format!("{listen}=host:1")), InvalidRoute::Listen(listen.parse().unwrap()));
        }
        let file = "[[route]]\nlisten = 'http://127.0.0.1:1'\ntarget = 'host:1'";
        let settings: ForwardSettings = toml::from_str(file).unwrap();
        assert!(matches!(settings.forward_config().unwrap_err(), InvalidRoute::Listen(_)));
    }

    #[test]
    fn the_file_of_the_deployment_is_read() {
        let file: ForwardSettings = toml::from_str(include_str!("../../deploy/parent/forward.toml")).unwrap();
        assert_eq!(file.forward_config().unwrap().routes.len(), 1);
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        for (file, unknown) in
            [("routes = []", "routes"), ("[[route]]\nlisten = 'unix:a'\ntarget = 'b:1'\ntls = true", "tls")]
        {
            let error = toml::from_str::<ForwardSettings>(file).unwrap_err().to_string();
            assert!(error.contains(&format!("unknown field `{unknown}`")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), listen in ".{0,20}", to in ".{0,20}") {
            let _ = text.parse::<RouteSetting>();
            let _ = format!("vsock://{listen}={to}").parse::<RouteSetting>();
            let _ = toml::from_str::<ForwardSettings>(&text);
        }
    }
}
