use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Register;
use crate::time::UnixTime;

/// When the certificates end that the broker lives on.
#[derive(Clone, Debug, Default)]
pub struct CertificateMetrics {
    not_after: Family<CertificateLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    purpose: &'static str,
    certificate: String,
}

impl CertificateMetrics {
    /// The server's certificate, from this file.
    pub fn tls(&self, file: String, not_after: UnixTime) {
        self.set("tls", file, not_after);
    }

    /// A root that evidence may lead to.
    pub fn trust_anchor(&self, name: String, not_after: UnixTime) {
        self.set("trust_anchor", name, not_after);
    }

    fn set(&self, purpose: &'static str, certificate: String, not_after: UnixTime) {
        let seconds = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
        self.not_after.get_or_create(&CertificateLabels { purpose, certificate }).set(seconds);
    }
}

impl Register for CertificateMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "certificate_not_after_timestamp",
            "When a certificate that the configuration names ends",
            Unit::Seconds,
            self.not_after.clone(),
        );
    }
}
