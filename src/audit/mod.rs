//! One record for every decision, durable before the answer leaves.
//!
//! The type system holds the order: an operation's result is [`Unrecorded`] and becomes an answer only by
//! [`Unrecorded::release`], which takes the [`Recorded`] that [`AuditLog::record`] yields once the record is on disk.

mod event;
mod log;

pub use event::{AuditEvent, Ending, Outcome, Subject};
pub use log::{AuditError, AuditLog, ExpectedRecord};

/// A result that nobody may see before its record is durable.
#[must_use]
pub struct Unrecorded<T>(T);

/// Proof that a record is durable. Only [`AuditLog::record`] makes one, and it serves once.
#[derive(Debug)]
pub struct Recorded(());

impl<T> Unrecorded<T> {
    /// Holds `result` back.
    pub fn new(result: T) -> Self {
        Self(result)
    }

    /// Gives the result out, now that its record is durable.
    pub fn release(self, _: Recorded) -> T {
        self.0
    }
}
