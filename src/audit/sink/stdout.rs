use std::io::{self, Write};

use super::{AuditSink, ChainedRecord, SinkError};
use crate::audit::chain::ChainHead;

/// The lines as they are, on standard output. Whoever reads it keeps them, or does not.
pub(super) struct StdoutSink;

impl AuditSink for StdoutSink {
    fn name(&self) -> String {
        "stdout".to_owned()
    }

    fn write(&mut self, records: &[ChainedRecord], _: &ChainHead) -> Result<(), SinkError> {
        let mut stdout = io::stdout().lock();
        let written = records.iter().try_for_each(|record| stdout.write_all(&record.line));
        written.and_then(|()| stdout.flush()).map_err(SinkError::new)
    }
}
