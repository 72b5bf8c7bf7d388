//! Where records go: the file of the log and, beside or in place of it, other sinks.
//!
//! A sink takes the chained lines, the same for all. A *durable* one keeps them over a crash once
//! [`AuditSink::write`] returns; an answer leaves when one durable sink has its record.

mod spec;
mod stdout;
mod syslog;
mod worker;

#[cfg(feature = "postgres")]
mod postgres;

pub use spec::{InvalidSink, SinkSpec, SyslogTarget};
pub use worker::SinkCounts;
pub(super) use worker::{Delivery, Worker};

use super::chain::ChainHead;

/// One record, as every sink gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedRecord {
    /// Its number.
    pub sequence: u64,
    /// Its line: JSON with the member `chain`, and a line end.
    pub line: Vec<u8>,
}

/// Somewhere that records go, beside the file of the log. Each has a thread of its own, so it may block.
pub trait AuditSink: Send {
    /// What messages call it. Not a secret.
    fn name(&self) -> String;

    /// Whether records outlive a crash once [`AuditSink::write`] has returned.
    fn is_durable(&self) -> bool {
        false
    }

    /// Takes records, in order and without a gap unless some were given up; `head` is the chain's end behind them. What
    /// fails may be written again, whole.
    ///
    /// # Errors
    /// When not all were taken.
    fn write(&mut self, records: &[ChainedRecord], head: &ChainHead) -> Result<(), SinkError>;

    /// Where the chain ends here; `None` where there is no record yet, or the sink does not know.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn stored_head(&mut self) -> Result<Option<ChainHead>, SinkError> {
        Ok(None)
    }
}

/// Why a sink did not take records.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(String);

impl SinkError {
    /// With what the system or the other side says.
    pub fn new(problem: impl std::fmt::Display) -> Self {
        Self(problem.to_string())
    }
}

impl SinkSpec {
    /// The sink, ready to write; `None` of the log's file, which is no other sink.
    ///
    /// # Errors
    /// When it is none of this build.
    pub fn build(&self) -> Result<Option<Box<dyn AuditSink>>, SinkError> {
        Ok(match self {
            Self::File => None,
            Self::Stdout => Some(Box::new(stdout::StdoutSink)),
            Self::Syslog(target) => Some(Box::new(syslog::SyslogSink::new(target.clone()))),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => Some(Box::new(postgres::PostgresSink::new(url)?)),
            #[cfg(not(feature = "postgres"))]
            Self::Postgres(_) => {
                return Err(SinkError::new("this program was built without the feature postgres"));
            }
        })
    }
}
