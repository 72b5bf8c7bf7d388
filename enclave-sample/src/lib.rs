//! The enclave's side of nitro-key-broker.
