//! What the fuzzer runs: one parser for each target, and what must be true of whatever it lets through.
//!
//! The crate in `fuzz/` explores these with libFuzzer, `tests/fuzz_replay.rs` repeats seeds and past findings on the
//! stable toolchain. A target panics when a property fails; "no panic" is the least of them.

pub mod audit;
pub mod ciphertext_blob;
pub mod cms;
pub mod cose;
pub mod document;
pub mod eif;
pub mod genuine;
pub mod path;
pub mod policy;
pub mod request;
pub mod sigv4;

/// A target by the name of its folder under `fuzz/seeds`.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub const ALL: [Target; 10] = [
    Target { name: "document", run: document::run },
    Target { name: "cose", run: cose::run },
    Target { name: "path", run: path::run },
    Target { name: "cms", run: cms::run },
    Target { name: "request", run: request::run },
    Target { name: "sigv4", run: sigv4::run },
    Target { name: "policy", run: policy::run },
    Target { name: "ciphertext_blob", run: ciphertext_blob::run },
    Target { name: "eif", run: eif::run },
    Target { name: "audit", run: audit::run },
];
