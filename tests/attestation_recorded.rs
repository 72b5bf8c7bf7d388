//! Attestation, on documents recorded on real hardware: each gives the verdict that its index names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/recorded.rs"]
mod recorded;

use std::collections::BTreeSet;
use std::fs;

use aws_nitro_enclaves_cose::CoseSign1;
use aws_nitro_enclaves_cose::crypto::{Hash, MessageDigest, SignatureAlgorithm, SigningPublicKey};
use aws_nitro_enclaves_cose::error::CoseError;
use nitro_key_broker::attestation::{
    self, Requirements, Step, TrustAnchors, UnverifiedDocument, VerifiedEvidence,
};
use nitro_key_broker::time::UnixTime;
use nitro_key_broker::x509::Position;
use p384::ecdsa::signature::hazmat::PrehashVerifier;
use p384::ecdsa::{Signature, VerifyingKey};
use recorded::{Recorded, extra, in_repository, repository_path};
use serde_cbor::Value;
use sha2::{Digest, Sha256, Sha384};
use x509_parser::prelude::{FromDer, X509Certificate};

const DEBUG_ALLOWED: Requirements = Requirements {
    max_age: std::time::Duration::from_secs(300),
    max_ahead: std::time::Duration::from_secs(30),
    allow_debug: true,
};

fn all() -> Vec<Recorded> {
    in_repository().into_iter().chain(extra()).collect()
}

fn verify(
    document: &Recorded,
    now: UnixTime,
    requirements: &Requirements,
) -> Result<VerifiedEvidence, attestation::Error> {
    attestation::verify(&document.bytes, &TrustAnchors::aws().unwrap(), now, requirements)
}

/// The evidence of a genuine document at its own time.
fn evidence(document: &Recorded) -> VerifiedEvidence {
    verify(document, document.timestamp.unwrap(), &DEBUG_ALLOWED)
        .unwrap_or_else(|error| panic!("{}: {error}", document.name))
}

#[test]
fn the_index_covers_every_recorded_document() {
    let documents = in_repository();
    assert!(documents.len() >= 7);
    let indexed: BTreeSet<String> = documents.iter().map(|document| document.name.clone()).collect();
    let present: BTreeSet<String> = fs::read_dir(repository_path("testdata/recorded"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".bin"))
        .collect();
    assert_eq!(indexed, present);
}

#[test]
fn every_document_is_the_one_that_was_indexed() {
    for document in all() {
        assert_eq!(hex::encode(Sha256::digest(&document.bytes)), document.sha256, "{}", document.name);
    }
}

#[test]
fn every_document_gets_its_indexed_verdict_at_its_own_time() {
    for document in all() {
        let now = document.timestamp.unwrap_or_else(UnixTime::now);
        let verdict = match verify(&document, now, &Requirements::default()) {
            Ok(_) => "accepted",
            Err(error) => error.code(),
        };
        assert_eq!(verdict, document.expected, "{}", document.name);
    }
}

#[test]
fn a_debug_document_is_accepted_only_where_debug_enclaves_are() {
    let documents: Vec<Recorded> =
        all().into_iter().filter(|document| document.expected == "debug_mode").collect();
    assert!(documents.len() >= 2);
    for document in documents {
        let refused = verify(&document, document.timestamp.unwrap(), &Requirements::default()).unwrap_err();
        assert_eq!(refused, attestation::Error::DebugMode { index: 0 }, "{}", document.name);
        assert!(evidence(&document).pcrs().get(0).unwrap().is_zero(), "{}", document.name);
    }
}

#[test]
fn every_genuine_document_is_expired_today() {
    let lenient = Requirements { max_age: std::time::Duration::MAX, ..DEBUG_ALLOWED };
    for document in all().iter().filter(|document| document.is_genuine()) {
        let error = verify(document, UnixTime::now(), &lenient).unwrap_err();
        assert_eq!((error.step(), error.code()), (Step::Path, "path_expired"), "{}", document.name);
    }
}

#[test]
fn evidence_says_what_the_index_says() {
    for document in all().iter().filter(|document| document.is_genuine()) {
        let evidence = evidence(document);
        let nonzero: Vec<u8> =
            evidence.pcrs().iter().filter(|(_, pcr)| !pcr.is_zero()).map(|(index, _)| index).collect();
        assert_eq!(evidence.module_id(), document.module_id);
        assert_eq!(Some(evidence.timestamp()), document.timestamp);
        assert_eq!(evidence.pcrs().count(), document.pcr_count, "{}", document.name);
        assert_eq!(nonzero, document.nonzero_pcrs, "{}", document.name);
        assert_eq!(evidence.trust_anchor_sha256(), &attestation::AWS_NITRO_ENCLAVES_ROOT_G1_SHA256);
        match evidence.recipient_key() {
            Ok(key) => {
                assert!(document.is_recipient, "{}", document.name);
                let spki = evidence.public_key().unwrap();
                assert_eq!(key.spki_sha256().as_slice(), Sha256::digest(spki).as_slice());
            }
            Err(error) => {
                assert!(!document.is_recipient, "{}: {error}", document.name);
                assert_eq!(error.step(), Step::RecipientKey);
            }
        }
    }
}

#[test]
fn pcr4_is_the_hash_of_the_instance_id() {
    for document in all().iter().filter(|document| document.is_genuine()) {
        let evidence = evidence(document);
        let expected = Sha384::new().chain_update([0; 48]).chain_update(evidence.instance_id()).finalize();
        assert_eq!(evidence.pcrs().get(4).unwrap().to_hex(), hex::encode(expected), "{}", document.name);
    }
}

#[test]
fn serde_cbor_reads_the_same_fields() {
    for document in all().iter().filter(|document| document.is_genuine()) {
        let evidence = evidence(document);
        let payload = payload(document);
        assert_eq!(payload[0] == 0xbf, document.indefinite_map, "{}", document.name);
        let Value::Map(fields) = serde_cbor::from_slice(&payload).unwrap() else { panic!("no map") };
        let field = |name: &str| &fields[&Value::Text(name.to_owned())];
        let optional = |value: Option<&[u8]>| value.map_or(Value::Null, |value| Value::Bytes(value.to_vec()));
        let pcrs = evidence
            .pcrs()
            .iter()
            .map(|(index, pcr)| (Value::Integer(index.into()), Value::Bytes(pcr.0.to_vec())))
            .collect();

        assert_eq!(fields.len(), 9);
        assert_eq!(field("module_id"), &Value::Text(evidence.module_id().to_owned()));
        assert_eq!(field("digest"), &Value::Text("SHA384".to_owned()));
        assert_eq!(field("timestamp"), &Value::Integer(evidence.timestamp().as_ms().into()));
        assert_eq!(field("pcrs"), &Value::Map(pcrs));
        assert_eq!(field("public_key"), &optional(evidence.public_key()));
        assert_eq!(field("user_data"), &optional(evidence.user_data()));
        assert_eq!(field("nonce"), &optional(evidence.nonce()));
    }
}

/// What [`UnverifiedDocument`] shows to people is what verification finds and what another decoder reads.
#[test]
fn a_genuine_document_claims_what_its_evidence_says() {
    for document in all().iter().filter(|document| document.is_genuine()) {
        let evidence = evidence(document);
        let claims = UnverifiedDocument::parse(&document.bytes).unwrap();
        assert_eq!(claims.module_id(), document.module_id);
        assert_eq!(claims.instance_id(), evidence.instance_id());
        assert_eq!(claims.instance_id_matches_pcr4(), Some(true), "{}", document.name);
        assert_eq!(claims.region().as_ref(), Some(&document.region), "{}", document.name);
        assert_eq!(claims.timestamp(), evidence.timestamp());
        assert_eq!(claims.pcrs(), evidence.pcrs());
        assert_eq!(claims.public_key(), evidence.public_key());
        assert_eq!(claims.user_data(), evidence.user_data());
        assert_eq!(claims.nonce(), evidence.nonce());
        let recipient = evidence.recipient_key().map(|key| *key.spki_sha256());
        assert_eq!(claims.recipient_spki_sha256().map_err(attestation::Error::RecipientKey), recipient);

        let [protected, payload, signature] = byte_strings(document);
        let envelope = claims.envelope();
        assert_eq!(envelope.tag, (document.bytes[0] == 0xd2).then_some(18), "{}", document.name);
        assert_eq!((envelope.protected, envelope.unprotected), (&protected[..], &[0xa0][..]));
        assert_eq!((envelope.payload, envelope.signature), (&payload[..], &signature[..]));
        assert!(envelope.is_es384(), "{}", document.name);

        let Value::Map(fields) = serde_cbor::from_slice(&payload).unwrap() else { panic!("no map") };
        let Value::Array(bundle) = &fields[&Value::Text("cabundle".to_owned())] else { panic!("no array") };
        let leaf = (Position::Leaf, fields[&Value::Text("certificate".to_owned())].clone());
        let bundle = bundle.iter().enumerate().map(|(index, der)| (Position::CaBundle(index), der.clone()));
        let expected: Vec<(Position, Value)> = bundle.chain([leaf]).collect();
        let shown = claims.certificates().map(|(position, der)| (position, Value::Bytes(der.to_vec())));
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{}", document.name);
    }
}

/// Another decoder and another curve implementation come to the same verdict on the signature alone.
#[test]
fn an_independent_verifier_agrees_on_every_signature() {
    for document in all().iter().filter(|document| document.expected != "cose_protected_header") {
        let payload = payload(document);
        let Value::Map(fields) = serde_cbor::from_slice(&payload).unwrap() else { panic!("no map") };
        let Value::Bytes(leaf) = &fields[&Value::Text("certificate".to_owned())] else { panic!("no bytes") };
        let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
        let key = VerifyingKey::from_sec1_bytes(&leaf.public_key().subject_public_key.data).unwrap();

        let signed = CoseSign1::from_bytes(&document.bytes).unwrap();
        let holds = signed.verify_signature::<RustCryptoHash>(&RustCryptoKey(key)).unwrap();
        assert_eq!(holds, document.expected != "signature_mismatch", "{}", document.name);
    }
}

fn payload(document: &Recorded) -> Vec<u8> {
    let [_, payload, _] = byte_strings(document);
    payload
}

/// Protected header, payload and signature, by a decoder that is not the broker's.
fn byte_strings(document: &Recorded) -> [Vec<u8>; 3] {
    let Value::Array(elements) = serde_cbor::from_slice(&document.bytes).unwrap() else { panic!("no array") };
    let [Value::Bytes(protected), Value::Map(_), Value::Bytes(payload), Value::Bytes(signature)] =
        elements.as_slice()
    else {
        panic!("no COSE_Sign1")
    };
    [protected, payload, signature].map(Clone::clone)
}

struct RustCryptoHash;

impl Hash for RustCryptoHash {
    fn hash(_: MessageDigest, data: &[u8]) -> Result<Vec<u8>, CoseError> {
        Ok(Sha384::digest(data).to_vec())
    }
}

struct RustCryptoKey(VerifyingKey);

impl SigningPublicKey for RustCryptoKey {
    fn get_parameters(&self) -> Result<(SignatureAlgorithm, MessageDigest), CoseError> {
        Ok((SignatureAlgorithm::ES384, MessageDigest::Sha384))
    }

    fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<bool, CoseError> {
        let signature = Signature::from_slice(signature).map_err(|_| CoseError::UnimplementedError)?;
        Ok(self.0.verify_prehash(digest, &signature).is_ok())
    }
}
