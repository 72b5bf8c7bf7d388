//! Keeps the memory of a process that holds keys out of swap and core dumps, as far as the system permits.
//!
//! The whole process is locked and not single buffers: secrets also pass through the cryptographic module, the TLS
//! library and the heap, which no buffer type reaches. A Nitro Enclave has no swap and no disk; this is for everything
//! else that the program runs on.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, capabilities};

/// What the system permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryProtection {
    /// All memory, also what is allocated later, stays out of swap.
    pub is_locked: bool,
    /// No core dump is written, and no process without privileges looks in.
    pub is_undumpable: bool,
}

/// Protects this process. What is not permitted is left: a program that only runs as root is no better protected.
pub fn protect_process() -> MemoryProtection {
    MemoryProtection {
        is_locked: may_lock_all() && mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok(),
        is_undumpable: set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok(),
    }
}

/// Under a limit, locking what comes later would succeed now and make an allocation fail then.
fn may_lock_all() -> bool {
    let is_unlimited = getrlimit(Resource::Memlock).current.is_none();
    let is_exempt =
        || -> Result<bool, Errno> { Ok(capabilities(None)?.effective.contains(CapabilitySet::IPC_LOCK)) };
    is_unlimited || is_exempt().unwrap_or(false)
}
