//! What several test files need.
#![allow(dead_code, reason = "no test file uses all of it")]

pub mod broker;
pub mod envelope;
