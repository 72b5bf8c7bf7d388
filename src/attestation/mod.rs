//! Is this evidence genuine? The verifier of Nitro attestation documents.
//!
//! [`verify()`] takes the bytes of a document to [`VerifiedEvidence`], the only proof of attestation that the rest of
//! the broker accepts. It follows the published process (`attestation_process.md` of aws-nitro-enclaves-nsm-api) and
//! then asks what that leaves to the relying party: is the document fresh, and is the enclave in debug mode?
//!
//! ```text
//! decode COSE → decode payload → path to a trust anchor → COSE signature by the leaf → freshness → debug mode
//! ```
//!
//! Whether the enclave may use a key is another question, asked by [`crate::policy`] of evidence that is verified
//! completely. So is whether the document names a key that an answer can be encrypted to:
//! [`VerifiedEvidence::recipient_key`].
//!
//! This document was recorded on real hardware, and is judged at the time at which it was made:
//!
//! ```
//! use nitro_key_broker::attestation::{self, Requirements, Step, TrustAnchors};
//! use nitro_key_broker::time::UnixTime;
//!
//! let document = std::fs::read("testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin")?;
//! let trust_anchors = TrustAnchors::aws()?;
//! let requirements = Requirements::default();
//!
//! let now = UnixTime::parse_rfc3339("2025-01-06T16:07:10Z")?;
//! let evidence = attestation::verify(&document, &trust_anchors, now, &requirements)?;
//! assert_eq!(evidence.instance_id(), "i-0bee92034f3d60691");
//! assert!(evidence.pcrs().get(0).is_some_and(|pcr| pcr.to_hex().starts_with("8bb159f202bb95d6")));
//! assert!(evidence.recipient_key().is_ok());
//!
//! // Five minutes later the same bytes are no evidence any more.
//! let later = UnixTime::parse_rfc3339("2025-01-06T16:12:10Z")?;
//! let error = attestation::verify(&document, &trust_anchors, later, &requirements).unwrap_err();
//! assert_eq!((error.step(), error.code()), (Step::Freshness, "stale"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever verifies many documents uses a [`Verifier`], which remembers what was genuine. [`UnverifiedDocument`] shows
//! what a document claims, genuine or not.
//!
//! Nothing here reads a clock, a file or the network, and nothing depends on the rest of the broker: the modules below are
//! [`crate::cbor`], [`crate::cose`], [`crate::x509`], [`crate::crypto`] and [`crate::time`].

mod error;
mod evidence;
mod memo;
mod payload;
mod pcr;
mod recipient_key;
mod trust_anchor;
mod unverified;
mod verify;

pub use error::{Error, Step};
pub use evidence::{AttestedRecipient, VerifiedEvidence};
pub use memo::MemoSize;
pub use payload::PayloadError;
pub use pcr::{PCR_COUNT, PCR_LEN, Pcr, Pcrs};
pub use recipient_key::{PublicKeyKind, RecipientKey, RecipientKeyError};
pub use trust_anchor::{AWS_NITRO_ENCLAVES_ROOT_G1_SHA256, TrustAnchor, TrustAnchorError, TrustAnchors};
pub use unverified::UnverifiedDocument;
pub use verify::{Requirements, Verifier, verify};
