//! Enclave images: those of AWS's own builder measure as it says, and an image that is not consistent is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "../support/eif.rs"]
#[allow(dead_code, reason = "others use the rest")]
mod image;

mod measured;
mod refused;
