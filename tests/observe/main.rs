//! What the broker shows of itself: counters, health and traces, read by programs that are not this project's.

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
#[allow(dead_code, reason = "other tests use the rest")]
mod process;

mod counters;
mod deployed;
mod documented;
mod health;
mod program;
#[cfg(feature = "otlp")]
mod telemetry;
mod tools;
