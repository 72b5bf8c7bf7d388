use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::Register;

/// How often something was remembered, and how often not.
#[derive(Clone, Debug, Default)]
pub struct CacheCounters {
    hits: Counter,
    misses: Counter,
}

impl CacheCounters {
    /// It was there, or was not.
    pub fn looked(&self, found: bool) {
        if found {
            self.hits.inc()
        } else {
            self.misses.inc()
        };
    }

    /// How often it was there.
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// How often it was not.
    pub fn misses(&self) -> u64 {
        self.misses.get()
    }
}

/// Caches by their names.
#[derive(Clone, Debug)]
pub struct Caches(pub Vec<(&'static str, CacheCounters)>);

#[derive(Clone, Debug, EncodeLabelSet)]
struct LookupLabels {
    cache: &'static str,
    result: &'static str,
}

impl Register for Caches {
    fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }
}

/// One family over counters that others own, which a `Family` cannot be made of.
impl Collector for Caches {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Lookups in what the broker remembers";
        let mut family = encoder.encode_descriptor("cache_lookups", help, None, MetricType::Counter)?;
        for (cache, counters) in &self.0 {
            for (result, counter) in [("hit", &counters.hits), ("miss", &counters.misses)] {
                counter.encode(family.encode_family(&LookupLabels { cache, result })?)?;
            }
        }
        Ok(())
    }
}
