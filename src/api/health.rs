use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::Api;
use crate::audit::sink::SinkCounts;
use crate::metrics::SinkProgress;
use crate::monitor::{Checked, PartState};
use crate::operations::BrokerError;

/// Longest that the store and the root key may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The names of the parts, in the answer to a probe and in labels.
const STORE: &str = "store";
const ROOT_KEY: &str = "root_key";
const AUDIT_LOG: &str = "audit_log";

#[async_trait]
impl Checked for Api {
    async fn check(&self) -> Vec<PartState> {
        let unknown = || "not asked, since the store fails".to_owned();
        let (store, root_key) = match timeout(PATIENCE, self.broker.check()).await {
            Ok(Ok(())) => (Ok(()), Ok(())),
            Ok(Err(error @ BrokerError::Store(_))) => (Err(error.to_string()), Err(unknown())),
            Ok(Err(error @ BrokerError::WrongRootKey(_))) => (Ok(()), Err(error.to_string())),
            Err(_) => (Err(format!("no answer within {} s", PATIENCE.as_secs())), Err(unknown())),
        };
        let audit_log = match timeout(PATIENCE, self.audit.sink_counts()).await {
            Ok(sinks) => {
                sinks.iter().for_each(|sink| self.audit.metrics().set_sink(&sink.name, progress(sink)));
                self.audit.check().map_err(|error| error.to_string())
            }
            Err(_) => Err(format!("writes nothing for {} s", PATIENCE.as_secs())),
        };
        vec![
            PartState { part: STORE, state: store },
            PartState { part: ROOT_KEY, state: root_key },
            PartState { part: AUDIT_LOG, state: audit_log },
        ]
    }
}

fn progress(sink: &SinkCounts) -> SinkProgress {
    SinkProgress { taken: sink.taken, lost: sink.lost, failures: sink.failures, waiting: sink.waiting }
}
