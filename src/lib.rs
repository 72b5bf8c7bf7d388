//! A self-hosted key service that speaks the AWS KMS wire protocol and releases key material only to a verified
//! Nitro Enclave.

pub mod auth;
pub mod server;
pub mod time;
