#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]
//! SigV4 verification, in the header form and in the query form, against AWS's published vectors, against what botocore
//! signs, and against a signer of our own.

mod header;
mod message;
mod presigned;
mod properties;
mod vectors;
