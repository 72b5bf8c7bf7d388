//! What is judged: the recorded and the minted corpus, recorded documents at the edges of their validity, and changed ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nitro_key_broker::attestation::{Requirements, TrustAnchors};
use nitro_key_broker::time::UnixTime;
use x509_parser::pem::Pem;

use crate::document::Document;
use crate::mutation;
use crate::recorded::{self, Recorded, repository_path};

/// One document, judged once.
pub struct Case {
    /// `<corpus>/<vector>`; cases that differ in the place of a change alone share it.
    pub name: String,
    pub document: Vec<u8>,
    pub now: UnixTime,
    pub root: PathBuf,
    pub requirements: Requirements,
}

/// What everybody asks of a document: that it is genuine. Peers know neither freshness nor debug mode.
const GENUINE: Requirements =
    Requirements { max_age: Duration::MAX, max_ahead: Duration::MAX, allow_debug: true };

impl Case {
    /// The certificate that the document is judged under.
    pub fn root_der(&self) -> Vec<u8> {
        let pem = fs::read(&self.root).unwrap();
        Pem::iter_from_buffer(&pem).next().unwrap().unwrap().contents
    }

    pub fn trust_anchors(&self) -> TrustAnchors {
        TrustAnchors::only_configured(&fs::read(&self.root).unwrap(), &self.root).unwrap()
    }

    fn of_aws(name: String, document: Vec<u8>, now: UnixTime, requirements: Requirements) -> Self {
        let root = repository_path("certs/aws-nitro-enclaves-root-g1.pem");
        Self { name, document, now, root, requirements }
    }
}

/// Every recorded document as it is, at its own time.
pub fn recorded() -> Vec<Case> {
    let named = |corpus: &'static str| {
        move |document: Recorded| {
            let now = document.timestamp.unwrap_or_else(UnixTime::now);
            let name = format!("{corpus}/{}", document.name.trim_end_matches(".bin"));
            Case::of_aws(name, document.bytes, now, Requirements::default())
        }
    };
    let extra = recorded::extra().into_iter().map(named("extra"));
    recorded::in_repository().into_iter().map(named("recorded")).chain(extra).collect()
}

/// Every minted vector at the time that it names.
pub fn minted() -> Vec<Case> {
    let folder = repository_path("testdata/attestation");
    let folders = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<Case> =
        folders.filter(|path| path.is_dir()).map(|vector| minted_vector(&folder, &vector)).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

fn minted_vector(folder: &Path, vector: &Path) -> Case {
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(vector.join("expected.json")).unwrap()).unwrap();
    let own_root = vector.join("root.pem");
    Case {
        name: format!("minted/{}", vector.file_name().unwrap().to_str().unwrap()),
        document: fs::read(vector.join("document.bin")).unwrap(),
        now: UnixTime::parse_rfc3339(expected["now"].as_str().unwrap()).unwrap(),
        root: if own_root.exists() { own_root } else { folder.join("root.pem") },
        requirements: Requirements::default(),
    }
}

/// Recorded documents as they are, a second before and at both ends of the validity of each of their certificates.
pub fn moments() -> Vec<Case> {
    const LEVELS: [&str; 5] = ["root", "regional", "zonal", "instance", "leaf"];
    let mut cases = Vec::new();
    for recorded in recorded::in_repository() {
        let document = Document::read(&recorded.bytes);
        let validities = document.certificates().map(|certificate| {
            let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
            let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap();
            (seconds(certificate.validity().not_before), seconds(certificate.validity().not_after))
        });
        for (level, (not_before, not_after)) in LEVELS.into_iter().zip(validities) {
            let edges = [
                ("a_second_before", not_before - 1),
                ("at_the_start", not_before),
                ("at_the_end", not_after),
                ("a_second_after", not_after + 1),
            ];
            for (edge, second) in edges {
                let now = UnixTime::from_secs(second);
                let name = format!("moment/{level}_{edge}");
                cases.push(Case::of_aws(name, recorded.bytes.clone(), now, GENUINE));
            }
        }
    }
    cases
}

/// Recorded documents, each changed in one way.
pub fn mutated() -> Vec<Case> {
    let recorded = recorded::in_repository();
    let mut cases = Vec::new();
    for (index, document) in recorded.iter().enumerate() {
        let other = &recorded[(index + 1) % recorded.len()];
        for (class, bytes) in mutation::all(&document.bytes, &other.bytes) {
            let name = format!("mutated/{class}");
            cases.push(Case::of_aws(name, bytes, document.timestamp.unwrap(), GENUINE));
        }
    }
    cases
}
