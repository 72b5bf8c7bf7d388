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
//! ```
//! use nitro_key_broker::attestation::{self, Requirements, Step, TrustAnchors};
//! use nitro_key_broker::time::UnixTime;
//!
//! let anchors = TrustAnchors::aws()?;
//! let error = attestation::verify(b"not a document", &anchors, UnixTime::now(), &Requirements::default()).unwrap_err();
//! assert_eq!(error.step(), Step::Cose);
//! # Ok::<(), attestation::TrustAnchorError>(())
//! ```

mod error;
mod evidence;
mod memo;
mod payload;
mod pcr;
mod recipient_key;
mod trust_anchor;
mod verify;

pub use error::{Error, Step};
pub use evidence::{AttestedRecipient, VerifiedEvidence};
pub use memo::MemoSize;
pub use payload::PayloadError;
pub use pcr::{PCR_COUNT, PCR_LEN, Pcr, Pcrs};
pub use recipient_key::{RecipientKey, RecipientKeyError};
pub use trust_anchor::{AWS_NITRO_ENCLAVES_ROOT_G1_SHA256, TrustAnchor, TrustAnchorError, TrustAnchors};
pub use verify::{Requirements, Verifier, verify};
