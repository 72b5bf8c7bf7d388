//! A Nitro Secure Module (NSM) for development, as a device: programs open `/dev/nsm` and speak to it as they do in an
//! enclave.
//!
//! **Its documents prove nothing.** They are signed under a development root, and whoever has that root's key can claim
//! any measurement. Only a verifier that was told to trust this one root takes them.
//!
//! | module | does | yields |
//! |---|---|---|
//! | [`registers`] | PCRs from an image, a file, or another NSM; extends and locks them | 32 registers |
//! | [`nsm`] | reads a request in CBOR, does what it asks, writes the response | CBOR |
//! | [`ioctl`] | the `nsm_message` that a program hands over, and its two buffers | what to read and write there |
//! | [`cuse`] | the kernel's protocol for devices in user space | `/dev/nsm` |
//!
//! Everything but [`cuse::serve`] is pure: bytes in, bytes out.

pub mod cuse;
pub mod ioctl;
pub mod nsm;
pub mod registers;
