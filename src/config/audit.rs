//! The table `[audit]`: where records go.

use std::time::Duration;

use serde::Deserialize;

use crate::audit::Rotation;
use crate::audit::sink::SinkSpec;

/// The settings of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Where records go; the file alone where nothing is said.
    pub sinks: Option<Vec<SinkSpec>>,
    /// The file is put aside once it has so many bytes.
    pub max_bytes: Option<u64>,
    /// The file is put aside once its first record is so old, in seconds.
    pub max_age_seconds: Option<u64>,
}

impl AuditConfig {
    /// Where records go, each once.
    pub fn sinks(&self) -> Vec<SinkSpec> {
        let mut sinks: Vec<SinkSpec> = Vec::new();
        for sink in self.sinks.as_deref().unwrap_or(&[SinkSpec::File]) {
            if !sinks.contains(sink) {
                sinks.push(sink.clone());
            }
        }
        sinks
    }

    /// When the file is put aside.
    pub fn rotation(&self) -> Rotation {
        let default = Rotation::default();
        Rotation {
            max_bytes: self.max_bytes.unwrap_or(default.max_bytes),
            max_age: self.max_age_seconds.map_or(default.max_age, Duration::from_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> AuditConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn records_go_to_the_file_unless_told_otherwise() {
        assert_eq!(read("").sinks(), [SinkSpec::File]);
        assert_eq!(read("").rotation(), Rotation::default());
        let config = read("sinks = ['stdout', 'file', 'stdout']\nmax_bytes = 1000\nmax_age_seconds = 60");
        assert_eq!(config.sinks(), [SinkSpec::Stdout, SinkSpec::File]);
        assert_eq!(config.rotation(), Rotation { max_bytes: 1000, max_age: Duration::from_secs(60) });
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        assert!(toml::from_str::<AuditConfig>("sink = ['file']").is_err());
        let error = toml::from_str::<AuditConfig>("sinks = ['files']").unwrap_err().to_string();
        assert!(error.contains("\"files\" is no audit sink"), "{error}");
    }
}
