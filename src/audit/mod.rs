//! One record for every decision, durable before the answer leaves.
//!
//! The type system holds the order: an operation's result is [`Unrecorded`] and becomes an answer only by
//! [`Unrecorded::release`], which takes the [`Recorded`] that [`AuditLog::record`] yields once the record is on disk.

pub mod chain;
mod checkpoint;
mod event;
mod file;
pub mod filter;
mod log;
pub mod reader;
pub mod record;
pub mod sink;
pub mod verify;
mod writer;

pub use checkpoint::{CheckpointKeyError, checkpoint_path, create_key, open_key, read_checkpoint};
pub use event::{AskedOf, AuditEvent, Ending, Outcome, Subject};
pub use file::Rotation;
pub use log::{AuditError, AuditLog, AuditSettings, ExpectedRecord};

/// An id for a request or a record, a UUID. Ids are for people who compare logs; nothing rests on nobody guessing them.
pub fn random_id() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

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
