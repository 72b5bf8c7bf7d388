//! A self-hosted key service that speaks the AWS KMS wire protocol and releases key material only to a verified
//! Nitro Enclave.
//!
//! A caller proves what it runs with a signed attestation document; the answer is encrypted to the RSA key inside that
//! document. **No response carries plaintext key material, on any path, for any caller.**
//!
//! # The way of one GenerateDataKey
//!
//! Each stage's output type is the next stage's only input, and its constructor is private to the stage.
//!
//! | # | module | does | yields |
//! |---|---|---|---|
//! | 1 | [`server`] | accepts on TCP, vsock and Unix sockets, with or without TLS; limits, timeouts, drain | [`ReceivedRequest`](server::ReceivedRequest) |
//! | 2 | [`api`] | target, JSON 1.1, members → typed request; the only map from errors to KMS exceptions | an [`Operation`](operations::Operation) |
//! | 3 | [`auth`] | SigV4 over the raw body, or the anonymous caller | [`Caller`](policy::Caller) |
//! | 4 | [`operations`] | tells the story once, calling 5–10 | a response |
//! | 5 | [`store`] | `KeyId` in its four forms → key, its state checked | [`KeyEntry`](store::KeyEntry) |
//! | 6 | [`attestation`] | document syntax, path to a trust anchor, signature, freshness, debug mode, recipient key | [`AttestedRecipient`](attestation::AttestedRecipient) |
//! | 7 | [`policy`] | pure decision over caller, key, evidence, context | [`Permit`](policy::Permit) or [`Denial`](policy::Denial) |
//! | 8 | [`keys`] | random bytes, wiped when dropped, without Debug or Serialize | [`DataKey`](keys::DataKey) |
//! | 9 | [`keys::seal`] | seals under the key's material, bound to key and encryption context; needs a permit | [`CiphertextBlob`](keys::CiphertextBlob) |
//! | 10 | [`keys::seal_for_recipient`] | encrypts to the permit's attested key; needs a permit | [`CiphertextForRecipient`](keys::CiphertextForRecipient) |
//! | 11 | [`audit`] | one record for each decision, durable before the answer leaves | [`Recorded`](audit::Recorded) |
//!
//! A [`Permit`](policy::Permit) is made only by [`policy::decide`], and key material is unwrapped and used only with
//! one: forgetting the policy does not compile. `docs/design.md` tells the rest.

pub mod analysis;
pub mod api;
pub mod attestation;
pub mod audit;
pub mod auth;
pub mod cbor;
pub mod cli;
pub mod cms;
pub mod config;
pub mod console;
pub mod cose;
pub mod crypto;
pub mod eif;
pub mod encryption_context;
pub mod forward;
pub mod inspection;
pub mod json;
pub mod keys;
pub mod merkle;
pub mod metrics;
pub mod monitor;
pub mod operations;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod policy;
pub mod root_key;
pub mod server;
pub mod signed_note;
pub mod store;
pub mod text;
pub mod time;
pub mod trace;
pub mod traceparent;
pub mod x509;
