//! The enclave's side of nitro-key-broker.
//!
//! An enclave holds an RSA key that never leaves it ([`recipient`]), proves what it runs with a document signed by the
//! Nitro Secure Module ([`nsm`]), asks a broker for key material over the AWS KMS wire protocol ([`client`]) and opens
//! the answer, which is encrypted to that RSA key ([`cms`]). [`envelope`] seals files under data keys obtained so.
//!
//! | module | does | yields |
//! |---|---|---|
//! | [`nsm`] | asks `/dev/nsm`, or a simulated one, for an attestation document | COSE_Sign1 bytes |
//! | [`recipient`] | holds the RSA key and a document within its freshness, renews both | [`AttestedKey`](recipient::AttestedKey) |
//! | [`client`] | speaks AWS JSON 1.1 to the broker over TLS, Unix socket or vsock | [`DataKey`](client::DataKey) |
//! | [`cms`] | opens `CiphertextForRecipient` | zeroizing plaintext |
//! | [`envelope`] | seals and opens files, with the `CiphertextBlob` in the header | a file |
//! | [`proxy`] | is a KMS endpoint for unmodified SDKs in the enclave | answers with `Plaintext` |
//! | [`init`] | prepares an enclave and supervises its processes | an exit status |
//! | [`memory`] | keeps the process out of swap and core dumps | |

pub mod client;
pub mod cms;
pub mod envelope;
pub mod init;
pub mod memory;
pub mod nsm;
pub mod proxy;
pub mod recipient;
