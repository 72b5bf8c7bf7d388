//! A self-hosted key service that speaks the AWS KMS wire protocol and releases key material only to a verified
//! Nitro Enclave.

pub mod attestation;
pub mod auth;
pub mod cbor;
pub mod cose;
pub mod crypto;
pub mod policy;
pub mod server;
pub mod time;
pub mod x509;
