//! The forwarder over real sockets. What others' forwarders are blamed for (aws-nitro-enclaves-cli's issues 413, 553,
//! 623, 648 and 716) is a test each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "../support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "../support/process.rs"]
#[allow(dead_code, reason = "others use the rest")]
mod process;

mod carrying;
mod crowd;
mod ending;
mod harness;
mod names;
