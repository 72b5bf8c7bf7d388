//! The console in a real browser: Chromium without a window, driven by the scripts in `browser/`.
//!
//! Each test puts a broker and a console together, lets the broker serve real requests, and runs one script, which looks at
//! the pages as a person does, and fails with what it found. A browser that is not there is a failure.

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
#[path = "../support/clients.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod clients;
#[path = "../support/mint/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mint;
#[path = "../support/signer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod signer;

mod hostile;
mod pages;
mod processes;
mod refused;
mod script;
mod sign_in;
mod stage;
