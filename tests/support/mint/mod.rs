//! Mints attestation documents under a root of our own, genuine ones and ones with a single defect.
//!
//! ```text
//! Chain (root → regional → zonal → instance → leaf)  ┐
//! Payload (module_id … nonce)                        ┴→ Document → COSE_Sign1 bytes
//! ```
//!
//! [`Document::genuine`] has the shape of recorded ones at every level. Its parts are plain data: change one and
//! [`Document::mint`] signs the result as if nothing were wrong. [`vectors::all`] is the list behind
//! `testdata/attestation`. Everything is deterministic; nothing here is meant to be secret.

pub mod cbor;
pub mod certificate;
pub mod chain;
pub mod der;
pub mod key;
pub mod payload;
pub mod recipient;
pub mod vectors;

use cbor::{Cbor, bytes, text};
use chain::{Chain, Level};
use key::Key;
use payload::Payload;

pub const INSTANCE_ID: &str = "i-0123456789abcdef0";
pub const MODULE_ID: &str = "i-0123456789abcdef0-enc0123456789abcdef";
pub const REGION: &str = "eu-central-1";

/// The protected header `{1: -35}`: ES384.
pub const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];
/// The tag of COSE_Sign1.
pub const COSE_SIGN1: u64 = 18;

/// How old a genuine document is.
const AGE_MS: u64 = 2_000;

/// A document before it is signed.
#[derive(Clone)]
pub struct Document {
    pub chain: Chain,
    pub payload: Payload,
    /// CBOR tags in front, outermost first. Hardware writes none.
    pub tags: Vec<u64>,
    /// What the protected byte string holds.
    pub protected: Vec<u8>,
    pub unprotected: Cbor,
    /// The context string of the Sig_structure.
    pub context: &'static str,
    /// Signs the document: the leaf's key.
    pub signer: Key,
    /// Changes the finished signature.
    pub edit_signature: fn(Vec<u8>) -> Vec<u8>,
    /// Changes `[protected, unprotected, payload, signature]` after signing.
    pub edit_elements: fn(&mut Vec<Cbor>),
    /// Changes the finished document.
    pub edit_bytes: fn(&mut Vec<u8>),
}

impl Document {
    /// A document that hardware could have made two seconds before `now_ms`, in the current form: untagged, its payload an
    /// indefinite-length map, no recipient key.
    pub fn genuine(now_ms: u64) -> Self {
        let chain = Chain::genuine((now_ms / 1000) as i64);
        Self {
            payload: Payload::genuine(now_ms - AGE_MS),
            tags: Vec::new(),
            protected: PROTECTED_ES384.to_vec(),
            unprotected: Cbor::Map(Vec::new()),
            context: "Signature1",
            signer: chain.leaf.key.clone(),
            edit_signature: |signature| signature,
            edit_elements: |_| (),
            edit_bytes: |_| (),
            chain,
        }
    }

    /// As [`Document::genuine`], with `public_key` set.
    pub fn with_public_key(now_ms: u64, public_key: &[u8]) -> Self {
        let mut document = Self::genuine(now_ms);
        document.payload.set("public_key", bytes(public_key));
        document
    }

    /// The signed document.
    pub fn mint(&self) -> Vec<u8> {
        let mut payload = self.payload.item().encode(&self.chain);
        payload.extend(&self.payload.trailing);

        let signed = self.encode(&Cbor::Array(vec![
            text(self.context),
            bytes(&self.protected),
            bytes(&[]),
            bytes(&payload),
        ]));
        let signature = (self.edit_signature)(self.signer.sign(&signed));

        let mut elements =
            vec![bytes(&self.protected), self.unprotected.clone(), bytes(&payload), Cbor::Bytes(signature)];
        (self.edit_elements)(&mut elements);

        let mut encoded = Vec::new();
        for tag in &self.tags {
            let mut encoder = minicbor::Encoder::new(&mut encoded);
            encoder.tag(minicbor::data::Tag::new(*tag)).unwrap();
        }
        encoded.extend(self.encode(&Cbor::Array(elements)));
        (self.edit_bytes)(&mut encoded);
        encoded
    }

    /// The DER of the root that the document was minted under.
    pub fn root(&self) -> Vec<u8> {
        self.chain.issue(Level::Root)
    }

    fn encode(&self, item: &Cbor) -> Vec<u8> {
        item.encode(&self.chain)
    }
}
