use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Register;
use crate::time::UnixTime;

/// What the broker does to keys by itself, and how many there are.
#[derive(Clone, Debug)]
pub struct HousekeepingMetrics {
    actions: Family<ActionLabels, Counter>,
    rounds_failed: Counter,
    last_round: Gauge,
    keys: Family<StateLabels, Gauge>,
}

/// One of the things that come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HousekeepingAction {
    /// A key was destroyed.
    Deleted,
    /// A key was rotated.
    Rotated,
    /// Imported material was destroyed.
    Expired,
    /// Something was due and failed.
    Failed,
}

/// Keys by the name of their state.
pub type KeyCounts = Vec<(&'static str, u64)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

impl HousekeepingAction {
    const ALL: [Self; 4] = [Self::Deleted, Self::Rotated, Self::Expired, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Rotated => "rotated",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

impl HousekeepingMetrics {
    /// It was done to so many keys.
    pub fn done(&self, action: HousekeepingAction, keys: usize) {
        let labels = ActionLabels { action: action.name() };
        self.actions.get_or_create(&labels).inc_by(u64::try_from(keys).unwrap_or(u64::MAX));
    }

    /// Everything that was due at `now` was looked at, when there were so many keys.
    pub fn round_ended(&self, now: UnixTime, keys: &KeyCounts) {
        self.last_round.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        for (state, count) in keys {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.keys.get_or_create(&StateLabels { state }).set(count);
        }
    }

    /// What is due could not even be looked at.
    pub fn round_failed(&self) {
        self.rounds_failed.inc();
    }
}

impl Default for HousekeepingMetrics {
    fn default() -> Self {
        let metrics = Self {
            actions: Family::default(),
            rounds_failed: Counter::default(),
            last_round: Gauge::default(),
            keys: Family::default(),
        };
        for action in HousekeepingAction::ALL {
            metrics.done(action, 0);
        }
        metrics
    }
}

impl Register for HousekeepingMetrics {
    fn register(&self, registry: &mut Registry) {
        let Self { actions, rounds_failed, last_round, keys } = self;
        registry.register(
            "housekeeping_actions",
            "Keys that something was due for, by what was done",
            actions.clone(),
        );
        registry.register(
            "housekeeping_rounds_failed",
            "Rounds in which it could not be found out what is due",
            rounds_failed.clone(),
        );
        registry.register_with_unit(
            "housekeeping_last_round_timestamp",
            "When it was last found out what is due, and done; 0 before the first time",
            Unit::Seconds,
            last_round.clone(),
        );
        registry.register("keys", "Keys in the store by their state", keys.clone());
    }
}
