//! Other verifiers, each asked in a process of its own: those of `differential/`, and `openssl verify`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nitro_key_broker::attestation::{Error, Step, VerifiedEvidence};
use nitro_key_broker::time::UnixTime;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::case::Case;
use crate::program::{Program, Theirs};

/// Somebody else's idea of an attestation document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    NitroAttest,
    AttestationDocValidation,
    AwsNitroEnclavesCose,
    SerdeCbor,
    OpenSsl,
}

impl Peer {
    pub const ALL: [Peer; 5] = [
        Peer::SerdeCbor,
        Peer::OpenSsl,
        Peer::AwsNitroEnclavesCose,
        Peer::NitroAttest,
        Peer::AttestationDocValidation,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Peer::NitroAttest => "nitro_attest",
            Peer::AttestationDocValidation => "attestation-doc-validation",
            Peer::AwsNitroEnclavesCose => "aws-nitro-enclaves-cose",
            Peer::SerdeCbor => "serde_cbor",
            Peer::OpenSsl => "openssl",
        }
    }

    /// The steps of verification that the peer has a counterpart of.
    pub const fn judges(self) -> &'static [Step] {
        match self {
            Peer::NitroAttest | Peer::AttestationDocValidation => &Step::ALL,
            Peer::AwsNitroEnclavesCose => &[Step::Cose, Step::Signature],
            Peer::SerdeCbor => &[Step::Cose, Step::Payload],
            Peer::OpenSsl => &[Step::Path],
        }
    }

    /// What the broker says of as much as the peer judges: `accepted` or the code of the error; nothing where the broker
    /// refused before it came to all of that.
    pub fn part_of(self, ours: &Result<VerifiedEvidence, Error>) -> Option<&'static str> {
        match ours {
            Err(error) if self.judges().contains(&error.step()) => Some(error.code()),
            Err(error) if self.judges().iter().any(|step| *step > error.step()) => None,
            Ok(_) | Err(_) => Some("accepted"),
        }
    }
}

/// The peers in their processes, all trusting one root.
pub struct Peers {
    program: Program,
    openssl: OpenSsl,
}

impl Peers {
    pub fn trusting(root: &Path, root_der: &[u8]) -> Self {
        Self { program: Program::trusting(root, root_der), openssl: OpenSsl::trusting(root) }
    }

    /// What `peer` makes of `case`; nothing where it cannot be made to trust the root. OpenSSL is given the certificates that `serde_cbor` finds.
    pub fn judge(&mut self, peer: Peer, case: &Case) -> Option<Theirs> {
        match peer {
            Peer::OpenSsl => {
                let decoded = self.program.judge(Peer::SerdeCbor.name(), &case.document, case.now);
                Some(self.openssl.judge(&decoded, case.now))
            }
            other => {
                let asked = self.program.trusts_the_root(other.name());
                asked.then(|| self.program.judge(other.name(), &case.document, case.now))
            }
        }
    }
}

/// `openssl verify`, asked once for each path at each second.
struct OpenSsl {
    root: PathBuf,
    folder: TempDir,
    answers: HashMap<[u8; 32], Theirs>,
}

impl OpenSsl {
    fn trusting(root: &Path) -> Self {
        Self { root: root.to_owned(), folder: tempfile::tempdir().unwrap(), answers: HashMap::new() }
    }

    fn judge(&mut self, decoded: &Theirs, now: UnixTime) -> Theirs {
        if decoded.verdict != "accepted" {
            return decoded.clone();
        }
        let decoded: Value = serde_json::from_str(&decoded.detail).unwrap();
        let bundle: Vec<&str> =
            decoded["cabundle"].as_array().unwrap().iter().map(|der| der.as_str().unwrap()).collect();
        let leaf = decoded["certificate"].as_str().unwrap();
        let key = Sha256::digest(format!("{} {leaf} {}", now.as_secs(), bundle.join(" "))).into();
        if let Some(known) = self.answers.get(&key) {
            return known.clone();
        }
        let answer = self.run(leaf, &bundle, now);
        self.answers.insert(key, answer.clone());
        answer
    }

    fn run(&self, leaf: &str, bundle: &[&str], now: UnixTime) -> Theirs {
        let leaf_path = self.folder.path().join("leaf.pem");
        fs::write(&leaf_path, pem(leaf)).unwrap();
        let mut command = Command::new("openssl");
        command.args(["verify", "-no-CApath", "-no-CAstore", "-attime", &now.as_secs().to_string()]);
        command.arg("-CAfile").arg(&self.root);
        if !bundle.is_empty() {
            let bundle_path = self.folder.path().join("bundle.pem");
            fs::write(&bundle_path, bundle.iter().copied().map(pem).collect::<String>()).unwrap();
            command.arg("-untrusted").arg(bundle_path);
        }
        let output = command.arg(leaf_path).output().expect("openssl runs");
        let verdict = if output.status.success() { "accepted" } else { "refused" };
        let detail = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        Theirs { verdict, detail }
    }
}

fn pem(der_in_hex: &str) -> String {
    let body = BASE64.encode(hex::decode(der_in_hex).unwrap());
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in body.as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text + "-----END CERTIFICATE-----\n"
}
