use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::metrics::Register;

/// How long a check's result serves further probes: however many ask, the broker is asked once in this time.
const RESULT_SERVES_FOR: Duration = Duration::from_secs(1);

/// The name of the part that fails while the broker drains.
const SERVING: &str = "serving";

/// Something that knows whether it could carry out a request now.
#[async_trait]
pub trait Checked: Send + Sync + 'static {
    /// The state of each of its parts, after a bounded time.
    async fn check(&self) -> Vec<PartState>;
}

/// Whether a part of the broker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartState {
    /// Its name.
    pub part: &'static str,
    /// What is wrong, for the log: a probe reads the name alone.
    pub state: Result<(), String>,
}

/// Answers whether the broker is ready, without letting probes load it.
pub struct Health {
    checked: Arc<dyn Checked>,
    draining: AtomicBool,
    last: Mutex<Option<(Instant, Vec<PartState>)>>,
    ready: Family<PartLabels, Gauge>,
}

/// Whether a request could be carried out, and which part is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    parts: Vec<(&'static str, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    part: &'static str,
}

impl Health {
    /// The health of `checked`, of which nothing is known yet.
    pub fn new(checked: Arc<dyn Checked>) -> Self {
        Self { checked, draining: AtomicBool::new(false), last: Mutex::default(), ready: Family::default() }
    }

    /// From now on it is not ready: it takes no connections any more.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it is ready, by a check that is at most a second old.
    pub async fn readiness(&self) -> Readiness {
        let serving = !self.draining.load(Ordering::Relaxed);
        let mut last = self.last.lock().await;
        let states = match &*last {
            Some((at, states)) if at.elapsed() < RESULT_SERVES_FOR => states.clone(),
            before => {
                let states = self.checked.check().await;
                log_changes(
                    before.as_ref().map(|(_, states)| states.as_slice()).unwrap_or_default(),
                    &states,
                );
                *last = Some((Instant::now(), states.clone()));
                states
            }
        };
        let parts = states.iter().map(|PartState { part, state }| (*part, state.is_ok()));
        let readiness = Readiness { parts: parts.chain([(SERVING, serving)]).collect() };
        for (part, is_ok) in &readiness.parts {
            self.ready.get_or_create(&PartLabels { part }).set(i64::from(*is_ok));
        }
        readiness
    }
}

impl Register for Health {
    fn register(&self, registry: &mut Registry) {
        let help = "Whether a part of the broker is ready to carry out requests";
        registry.register("ready", help, self.ready.clone());
    }
}

impl Readiness {
    /// Whether all parts are.
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|(_, is_ok)| *is_ok)
    }

    /// `{"ready": …, "parts": {"store": "ok", …}}`: names and nothing else, since anybody may ask.
    pub fn to_json(&self) -> Value {
        let word = |is_ok: bool| Value::from(if is_ok { "ok" } else { "failing" });
        let parts: Map<String, Value> =
            self.parts.iter().map(|(part, is_ok)| ((*part).to_owned(), word(*is_ok))).collect();
        json!({"ready": self.is_ready(), "parts": parts})
    }
}

fn log_changes(before: &[PartState], now: &[PartState]) {
    for PartState { part, state } in now {
        let was_failing = before.iter().any(|before| before.part == *part && before.state.is_err());
        match state {
            Err(problem) if !was_failing => tracing::error!(part, problem, "not ready"),
            Ok(()) if was_failing => tracing::info!(part, "ready again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Broken {
        is_broken: AtomicBool,
        checks: AtomicUsize,
    }

    #[async_trait]
    impl Checked for Broken {
        async fn check(&self) -> Vec<PartState> {
            self.checks.fetch_add(1, Ordering::SeqCst);
            let problem = || Err("disk /secret/place is full".to_owned());
            let state = if self.is_broken.load(Ordering::SeqCst) { problem() } else { Ok(()) };
            vec![PartState { part: "store", state }]
        }
    }

    #[tokio::test]
    async fn probes_do_not_load_the_broker() {
        let broken = Arc::new(Broken::default());
        let health = Arc::new(Health::new(Arc::clone(&broken) as Arc<dyn Checked>));
        let probes = (0..100).map(|_| {
            let health = Arc::clone(&health);
            tokio::spawn(async move { health.readiness().await.is_ready() })
        });
        for probe in probes.collect::<Vec<_>>() {
            assert!(probe.await.unwrap());
        }
        assert_eq!(broken.checks.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn names_the_part_that_fails_and_not_why() {
        let broken = Arc::new(Broken { is_broken: true.into(), checks: 0.into() });
        let health = Health::new(broken);
        let readiness = health.readiness().await;
        assert!(!readiness.is_ready());
        let shown = json!({"ready": false, "parts": {"store": "failing", "serving": "ok"}});
        assert_eq!(readiness.to_json(), shown);
    }

    #[tokio::test]
    async fn draining_is_told_at_once() {
        let health = Health::new(Arc::new(Broken::default()));
        assert!(health.readiness().await.is_ready());
        health.set_draining();
        let shown = json!({"ready": false, "parts": {"store": "ok", "serving": "failing"}});
        assert_eq!(health.readiness().await.to_json(), shown);
    }
}
