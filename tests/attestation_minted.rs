//! Attestation, on minted documents with one defect each: refused at the step and for the reason that stand beside them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/mint/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mint;
#[path = "support/recorded.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mint::key::Key;
use mint::recipient::{F4, rsa_spki};
use mint::{Document, INSTANCE_ID, MODULE_ID, REGION, vectors};
use nitro_key_broker::attestation::{
    self, Requirements, Step, TrustAnchors, UnverifiedDocument, VerifiedEvidence, Verifier,
};
use nitro_key_broker::time::UnixTime;
use nitro_key_broker::x509::CertificateSummary;
use serde::Deserialize;
use serde_cbor::Value;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// A vector as it stands in `testdata/attestation`.
struct Vector {
    name: String,
    document: Vec<u8>,
    root: TrustAnchors,
    /// Whether `root` is not the one that the other vectors share.
    own_root: bool,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    layer: String,
    error: Option<String>,
    now: String,
    why: String,
}

impl Vector {
    fn now(&self) -> UnixTime {
        UnixTime::parse_rfc3339(&self.expected.now).unwrap()
    }

    /// The verdict as `layer: error`; that a genuine document names no recipient key counts only where the vector is about
    /// that.
    fn verdict(&self, result: Result<VerifiedEvidence, attestation::Error>) -> String {
        let refusal = match result {
            Err(error) => error,
            Ok(evidence) => match evidence.recipient_key() {
                Err(error) if self.expected.layer == "recipient_key" => error,
                Err(error) if error.code() != "recipient_key_absent" => error,
                Ok(_) | Err(_) => return "accepted".to_owned(),
            },
        };
        format!("{}: {}", refusal.step().name(), refusal.code())
    }

    /// What [`Vector::verdict`] must be.
    fn expected_verdict(&self) -> String {
        match &self.expected.error {
            Some(error) => format!("{}: {error}", self.expected.layer),
            None => self.expected.layer.clone(),
        }
    }
}

/// Judges every vector and compares all verdicts at once.
fn compare<'v>(
    vectors: impl Iterator<Item = &'v Vector>,
    mut verify: impl FnMut(&Vector) -> Result<VerifiedEvidence, attestation::Error>,
) {
    let mut expected = BTreeMap::new();
    let mut actual = BTreeMap::new();
    for vector in vectors {
        expected.insert(vector.name.as_str(), vector.expected_verdict());
        actual.insert(vector.name.as_str(), vector.verdict(verify(vector)));
    }
    assert!(expected.len() > 200, "the vectors are there");
    actual.retain(|name, verdict| expected[name] != *verdict);
    expected.retain(|name, _| actual.contains_key(name));
    assert_eq!(actual, expected);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/attestation")
}

fn anchors(pem: &Path) -> TrustAnchors {
    TrustAnchors::only_configured(&fs::read(pem).unwrap(), pem).unwrap()
}

/// The committed vectors, by name.
fn committed() -> Vec<Vector> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let vector = folder().join(&name);
            let own_root = vector.join("root.pem");
            let shared_root = folder().join("root.pem");
            Vector {
                document: fs::read(vector.join("document.bin")).unwrap(),
                root: anchors(if own_root.exists() { &own_root } else { &shared_root }),
                own_root: own_root.exists(),
                expected: serde_json::from_slice(&fs::read(vector.join("expected.json")).unwrap()).unwrap(),
                name,
            }
        })
        .collect()
}

#[test]
fn every_vector_gets_its_verdict() {
    compare(committed().iter(), |vector| {
        attestation::verify(&vector.document, &vector.root, vector.now(), &Requirements::default())
    });
}

/// One verifier for all, so that memoised paths meet every defect, and twice.
#[test]
fn a_verifier_that_remembers_paths_gives_the_same_verdicts() {
    let verifier = Verifier::new(anchors(&folder().join("root.pem")), Requirements::default());
    let vectors = committed();
    let under_the_shared_root = || vectors.iter().filter(|vector| !vector.own_root);
    for _ in 0..2 {
        compare(under_the_shared_root(), |vector| verifier.verify(&vector.document, vector.now()));
    }
}

#[test]
fn the_generator_writes_exactly_what_is_committed() {
    let generated: BTreeMap<PathBuf, Vec<u8>> = vectors::files().into_iter().collect();
    let mut paths: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::from("root.pem")]);
    for vector in committed() {
        for entry in fs::read_dir(folder().join(&vector.name)).unwrap() {
            paths.insert(Path::new(&vector.name).join(entry.unwrap().file_name()));
        }
    }
    assert_eq!(generated.keys().cloned().collect::<BTreeSet<_>>(), paths);
    for (path, content) in generated {
        assert!(fs::read(folder().join(&path)).unwrap() == content, "{} differs", path.display());
    }
}

#[test]
fn every_vector_is_named_by_its_layer_and_says_why() {
    for vector in committed() {
        assert!(vector.name.starts_with(&format!("{}_", vector.expected.layer)), "{}", vector.name);
        assert!(!vector.expected.why.is_empty(), "{}", vector.name);
    }
}

#[test]
fn every_step_has_vectors() {
    let layers: BTreeSet<String> = committed().into_iter().map(|vector| vector.expected.layer).collect();
    let steps: BTreeSet<String> = Step::ALL.iter().map(|step| step.name().to_owned()).collect();
    assert_eq!(layers, &steps | &BTreeSet::from(["accepted".to_owned()]));
}

/// A root in a second encoding would be another anchor for the same key.
#[test]
fn a_root_that_is_not_der_is_no_anchor() {
    let path = Path::new("root.pem");
    for (edit, problem) in [("trailing byte", "bytes follow"), ("length", "not in its shortest form")] {
        let mut document = Document::genuine(vectors::NOW_MS);
        document.chain.root.certificate.edit_der = match edit {
            "length" => |der| mint::der::lengthen_length(&der),
            _ => |der| [&der[..], &[0]].concat(),
        };
        let error = TrustAnchors::only_configured(&vectors::pem(&document.root()), path).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}

/// What an extension that nobody looks at holds is not looked at either (RFC 5280 section 4.2).
#[test]
fn an_unknown_extension_may_hold_any_octets() {
    let mut document = Document::genuine(vectors::NOW_MS);
    let mut extension = mint::certificate::unknown_extension(false);
    extension.value = b"no DER".to_vec();
    document.chain.leaf.certificate.set_extension(extension);
    let root = anchors(&folder().join("root.pem"));
    let now = UnixTime::from_ms(vectors::NOW_MS);
    attestation::verify(&document.mint(), &root, now, &Requirements::default()).unwrap();
}

/// A memoised path ends with its first certificate, however long it is remembered.
#[test]
fn a_remembered_path_expires() {
    let document = Document::genuine(vectors::NOW_MS);
    let lenient = Requirements { max_age: Duration::from_secs(86_400), ..Requirements::default() };
    let verifier = Verifier::new(anchors(&folder().join("root.pem")), lenient);
    let leaf_end = u64::try_from(document.chain.leaf.certificate.not_after).unwrap();
    let bytes = document.mint();
    for now in [vectors::NOW_MS / 1000, leaf_end] {
        verifier.verify(&bytes, UnixTime::from_secs(now)).unwrap();
    }
    let error = verifier.verify(&bytes, UnixTime::from_secs(leaf_end + 1)).unwrap_err();
    assert_eq!(error.code(), "path_expired");
}

#[test]
fn no_minted_document_leads_to_the_aws_root() {
    let aws = TrustAnchors::aws().unwrap();
    for vector in committed() {
        let result = attestation::verify(&vector.document, &aws, vector.now(), &Requirements::default());
        assert!(result.is_err(), "{}", vector.name);
    }
}

/// Claims are shown whoever made them, also where a document contradicts itself.
#[test]
fn a_document_that_contradicts_itself_is_shown() {
    let claims = |edit: fn(&mut Document)| {
        let mut document = Document::genuine(vectors::NOW_MS);
        edit(&mut document);
        let bytes = document.mint();
        let claims = UnverifiedDocument::parse(&bytes).unwrap();
        (
            claims.instance_id_matches_pcr4(),
            claims.region(),
            claims.envelope().tag,
            claims.envelope().is_es384(),
        )
    };
    let region = || Some(REGION.to_owned());
    assert_eq!(claims(|_| ()), (Some(true), region(), None, true));
    let other_instance = claims(|d| d.payload.set_pcr(4, &[4; 48]));
    assert_eq!(other_instance, (Some(false), region(), None, true));
    assert_eq!(claims(|d| d.payload.pcrs_mut().truncate(3)), (None, region(), None, true));
    let other_module = claims(|d| d.payload.set("module_id", mint::cbor::text("i-0-enc0")));
    assert_eq!(other_module, (Some(false), None, None, true));
    let other_envelope = claims(|d| {
        d.tags = vec![17];
        d.protected = vec![0xa1, 0x01, 0x26];
    });
    assert_eq!(other_envelope, (Some(true), region(), Some(17), false));
}

#[test]
fn whatever_stands_in_public_key_is_described() {
    for (public_key, expected) in [
        (rsa_spki(2048, F4), "RSA, 2048 bits, exponent 65537"),
        (rsa_spki(2047, F4), "RSA, 2047 bits, exponent 65537"),
        (rsa_spki(2048, &[0x7f; 9]), "RSA, 2048 bits, exponent of more than 64 bits"),
        (Key::p384("any").spki(), "SubjectPublicKeyInfo of algorithm 1.2.840.10045.2.1 1.3.132.0.34"),
        ([rsa_spki(2048, F4), vec![0]].concat(), "295 bytes that are no SubjectPublicKeyInfo"),
        (b"-----BEGIN PUBLIC KEY-----\n".to_vec(), "PEM text"),
        (vec![7; 32], "32 bytes that are no SubjectPublicKeyInfo"),
    ] {
        let bytes = Document::with_public_key(vectors::NOW_MS, &public_key).mint();
        assert_eq!(UnverifiedDocument::parse(&bytes).unwrap().public_key_kind().to_string(), expected);
    }
    let bytes = Document::genuine(vectors::NOW_MS).mint();
    assert_eq!(UnverifiedDocument::parse(&bytes).unwrap().public_key_kind().to_string(), "none");
}

#[test]
fn each_certificate_is_summed_up() {
    let bytes = Document::genuine(vectors::NOW_MS).mint();
    let document = UnverifiedDocument::parse(&bytes).unwrap();
    let shown: Vec<String> = document
        .certificates()
        .map(|(position, der)| {
            let CertificateSummary { subject, common_name, is_ca, path_len, key_usage, .. } =
                CertificateSummary::parse(der).unwrap();
            assert!(subject.contains(&format!("CN={}", common_name.unwrap())), "{subject}");
            format!(
                "{position}: {subject}, CA {is_ca}, pathlen {path_len:?}, {}",
                key_usage.unwrap().join(" ")
            )
        })
        .collect();
    let authority = "digitalSignature keyCertSign cRLSign";
    let machine = "C=US, ST=Washington, L=Seattle, O=Amazon, OU=AWS";
    let expected = [
        format!(
            "cabundle[0]: C=US, O=Amazon, OU=AWS, CN=aws.nitro-enclaves, CA true, pathlen None, {authority}"
        ),
        format!(
            "cabundle[1]: C=US, O=Amazon, OU=AWS, CN=1c2d3e4f5a6b7c8d.{REGION}.aws.nitro-enclaves, CA true, \
             pathlen Some(2), {authority}"
        ),
        format!(
            "cabundle[2]: CN=9f8e7d6c5b4a3f2e.zonal.{REGION}.aws.nitro-enclaves, OU=AWS, O=Amazon, C=US, ST=WA, \
             L=Seattle, CA true, pathlen Some(1), {authority}"
        ),
        format!(
            "cabundle[3]: {machine}, CN={INSTANCE_ID}.{REGION}.aws.nitro-enclaves, CA true, pathlen Some(0), \
             keyCertSign"
        ),
        format!(
            "certificate: {machine}, CN={MODULE_ID}.{REGION}.aws, CA false, pathlen None, \
             digitalSignature nonRepudiation"
        ),
    ];
    assert_eq!(shown, expected);
}

/// What the verifier could look at is the same in a minted chain and in those recorded since mid-2024.
#[test]
fn a_minted_chain_has_the_shape_of_recorded_ones() {
    let minted = shapes(&Document::genuine(vectors::NOW_MS).mint());
    let recorded = recorded::in_repository();
    let current: Vec<_> =
        recorded.iter().filter(|document| document.is_recipient || document.indefinite_map).collect();
    assert_eq!(current.len(), 3);
    for document in current {
        assert_eq!(shapes(&document.bytes), minted, "{}", document.name);
    }
}

/// The shape of each certificate of a document, root first: signature algorithm, key, the order and string types of its
/// names, length of its validity in days, then extensions with their criticality and meaning.
fn shapes(document: &[u8]) -> Vec<String> {
    let Value::Array(elements) = serde_cbor::from_slice(document).unwrap() else { panic!("no array") };
    let Value::Bytes(payload) = &elements[2] else { panic!("no payload") };
    let Value::Map(fields) = serde_cbor::from_slice(payload).unwrap() else { panic!("no map") };
    let field = |name: &str| fields[&Value::Text(name.to_owned())].clone();
    let Value::Array(mut certificates) = field("cabundle") else { panic!("no bundle") };
    certificates.push(field("certificate"));
    certificates.iter().map(shape).collect()
}

fn shape(certificate: &Value) -> String {
    let Value::Bytes(der) = certificate else { panic!("no bytes") };
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    let name = |name: &X509Name<'_>| -> Vec<String> {
        let attributes = name.iter_attributes();
        attributes.map(|a| format!("{} {:?}", a.attr_type(), a.attr_value().tag())).collect()
    };
    let extensions: Vec<String> = certificate
        .extensions()
        .iter()
        .map(|extension| {
            let meaning = match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => format!("{constraints:?}"),
                ParsedExtension::KeyUsage(usage) => usage.to_string(),
                ParsedExtension::CRLDistributionPoints(points) => points.len().to_string(),
                other => format!("{:?}", std::mem::discriminant(other)),
            };
            format!("{} critical={} {meaning}", extension.oid, extension.critical)
        })
        .collect();
    let validity = certificate.validity();
    let period = validity.not_after.timestamp() - validity.not_before.timestamp();
    // The zonal authority's period alone varies, from five and a half to six days.
    let days = if (475_200..=518_400).contains(&period) { 5.5 } else { period as f64 / 86_400.0 };
    format!(
        "v{:?} {} key {:?} issuer {:?} subject {:?} {days} days {extensions:?}",
        certificate.version(),
        certificate.signature_algorithm.algorithm,
        certificate
            .public_key()
            .algorithm
            .parameters
            .as_ref()
            .map(|curve| curve.as_oid().unwrap().to_string()),
        name(certificate.issuer()),
        name(certificate.subject()),
    )
}

#[test]
fn the_documentation_lists_every_check() {
    // Codes are literals of `Error::code` and what it calls; the documentation's table must hold the same ones.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented: BTreeSet<String> = fs::read_to_string(root.join("docs/attestation.md"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').nth(2).map(str::to_owned))
        .collect();
    let mut in_code = BTreeSet::new();
    for file in ["error.rs", "payload.rs", "recipient_key.rs"] {
        let source = fs::read_to_string(root.join("src/attestation").join(file)).unwrap();
        let arms = source.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
        in_code.extend(arms.map(str::to_owned));
    }
    let steps: BTreeSet<String> = Step::ALL.iter().map(|step| step.name().to_owned()).collect();
    let codes: BTreeSet<String> =
        in_code.into_iter().filter(|name| !steps.contains(name) || name == "debug_mode").collect();
    assert_eq!(documented, codes);
}
