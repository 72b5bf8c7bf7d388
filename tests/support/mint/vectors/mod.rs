//! The list of minted vectors: one defect each, with the step that must refuse it.

mod accepted;
mod cose;
mod encoding;
mod judgement;
mod path;
mod payload;
mod roles;

use std::fmt;
use std::path::PathBuf;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Document;

/// 2026-11-24T12:00:00Z: every vector is judged at this moment.
pub const NOW: &str = "2026-11-24T12:00:00Z";
/// The same in milliseconds since 1970.
pub const NOW_MS: u64 = 1_795_521_600_000;

/// The document that every vector starts from.
static GENUINE: LazyLock<Document> = LazyLock::new(|| Document::genuine(NOW_MS));

/// The step of verification that has the say on a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Cose,
    Payload,
    Path,
    Signature,
    Freshness,
    DebugMode,
    /// The document is genuine, but its `public_key` is refused as a recipient.
    RecipientKey,
    /// Genuine and nothing to refuse.
    Accepted,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cose => "cose",
            Self::Payload => "payload",
            Self::Path => "path",
            Self::Signature => "signature",
            Self::Freshness => "freshness",
            Self::DebugMode => "debug_mode",
            Self::RecipientKey => "recipient_key",
            Self::Accepted => "accepted",
        })
    }
}

/// A document, the verdict it must get, and why.
pub struct Vector {
    pub layer: Layer,
    pub defect: String,
    /// The code of the error; `None` when the document is accepted.
    pub error: Option<&'static str>,
    pub why: String,
    pub document: Document,
    /// Whether the vector is judged under the root of its own chain and not under the shared one.
    pub own_root: bool,
}

impl Vector {
    /// `<layer>_<defect>`, the name of its folder.
    pub fn name(&self) -> String {
        format!("{}_{}", self.layer, self.defect)
    }

    /// What `expected.json` says.
    fn expected_json(&self) -> Vec<u8> {
        let expected = json!({
            "layer": self.layer.to_string(),
            "error": self.error,
            "now": NOW,
            "why": self.why,
        });
        format!("{expected:#}\n").into_bytes()
    }

    fn under_its_own_root(mut self) -> Self {
        self.own_root = true;
        self
    }
}

/// The root of a chain without defects.
pub fn shared_root() -> Vec<u8> {
    GENUINE.root()
}

/// Every vector, in the order of verification.
pub fn all() -> Vec<Vector> {
    [
        cose::vectors(),
        payload::vectors(),
        path::vectors(),
        roles::vectors(),
        encoding::vectors(),
        judgement::vectors(),
        accepted::vectors(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn refused(
    layer: Layer,
    defect: impl Into<String>,
    error: &'static str,
    why: impl Into<String>,
    edit: impl FnOnce(&mut Document),
) -> Vector {
    let mut document = GENUINE.clone();
    edit(&mut document);
    Vector { layer, defect: defect.into(), error: Some(error), why: why.into(), document, own_root: false }
}

fn accepted(what: impl Into<String>, why: impl Into<String>, edit: impl FnOnce(&mut Document)) -> Vector {
    let mut document = GENUINE.clone();
    edit(&mut document);
    Vector {
        layer: Layer::Accepted,
        defect: what.into(),
        error: None,
        why: why.into(),
        document,
        own_root: false,
    }
}

/// Ten thousand of this head, one in the other, and a zero at the bottom.
fn nested(head: u8) -> Vec<u8> {
    [vec![head; 10_000], vec![0x00]].concat()
}

/// A head with a length or count of 2^32 - 1 in four bytes, and nothing behind it.
fn claiming_4_gib(head: u8) -> Vec<u8> {
    vec![head, 0xff, 0xff, 0xff, 0xff]
}

/// The whole of `testdata/attestation`: each file's path in it and its content.
pub fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let shared_root = shared_root();
    let mut files = vec![(PathBuf::from("root.pem"), pem(&shared_root))];
    for vector in all() {
        let folder = PathBuf::from(vector.name());
        files.push((folder.join("document.bin"), vector.document.mint()));
        files.push((folder.join("expected.json"), vector.expected_json()));
        if vector.own_root {
            files.push((folder.join("root.pem"), pem(&vector.document.root())));
        }
    }
    files
}

/// A PEM certificate (RFC 7468).
pub fn pem(der: &[u8]) -> Vec<u8> {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")).into_bytes()
}
