//! A self-hosted key service that speaks the AWS KMS wire protocol and releases key material only to a verified
//! Nitro Enclave.

pub mod api;
pub mod attestation;
pub mod audit;
pub mod auth;
pub mod cbor;
pub mod cms;
pub mod cose;
pub mod crypto;
pub mod encryption_context;
pub mod json;
pub mod keys;
pub mod operations;
pub mod policy;
pub mod root_key;
pub mod server;
pub mod store;
pub mod time;
pub mod x509;
