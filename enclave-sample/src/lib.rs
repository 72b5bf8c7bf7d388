//! The enclave's side of nitro-key-broker.
//!
//! An enclave holds an RSA key that never leaves it ([`recipient`]), proves what it runs with a document signed by the
//! Nitro Secure Module ([`nsm`]), asks a broker for key material over the AWS KMS wire protocol ([`client`]) and opens
//! the answer, which is encrypted to that RSA key ([`cms`]). [`envelope`] seals files under data keys obtained so.
//!
//! | module | does | yields |
//! |---|---|---|
//! | [`nsm`] | asks `/dev/nsm`, or a simulated one, for an attestation document | COSE_Sign1 bytes |
//! | [`recipient`] | holds the RSA key, reuses a document within its freshness | [`Recipient`](recipient::Recipient) |
//! | [`client`] | speaks AWS JSON 1.1 to the broker over TLS, Unix socket or vsock | [`DataKey`](client::DataKey) |
//! | [`cms`] | opens `CiphertextForRecipient` | zeroizing plaintext |
//! | [`envelope`] | seals and opens files, with the `CiphertextBlob` in the header | a file |

pub mod client;
pub mod cms;
pub mod envelope;
pub mod memory;
pub mod nsm;
pub mod recipient;
