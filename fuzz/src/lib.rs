//! The fuzz targets as a library, so that they are compiled once. They live beside the tests, which replay them.

#![allow(dead_code, reason = "the tests use the rest of what is shared with them")]

#[path = "../../tests/support/fuzz_targets/mod.rs"]
pub mod fuzz_targets;
#[path = "../../tests/support/mint/mod.rs"]
mod mint;
