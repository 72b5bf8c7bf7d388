//! Other verifiers, each asked in a process of its own: those of `differential/`, and `openssl verify`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nitro_key_broker::attestation::{Error, Step, VerifiedEvidence};
use nitro_key_broker::time::UnixTime;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::case::Case;
use crate::recorded::repository_path;

/// Names the built program of `differential/`, where it is not where `make peers` puts it.
const PROGRAM_ENV: &str = "NITRO_KEY_BROKER_PEERS";

/// Somebody else's idea of an attestation document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    NitroAttest,
    AttestationDocValidation,
    AwsNitroEnclavesCose,
    SerdeCbor,
    OpenSsl,
}

/// What a peer makes of a document.
#[derive(Clone, Debug)]
pub struct Theirs {
    /// `accepted`, `refused`, or, which is neither, `panicked` or `crashed`.
    pub verdict: &'static str,
    /// Why, or what was found.
    pub detail: String,
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

    /// What `peer` makes of `case`. OpenSSL is given the certificates that `serde_cbor` finds.
    pub fn judge(&mut self, peer: Peer, case: &Case) -> Theirs {
        match peer {
            Peer::OpenSsl => {
                let decoded = self.program.judge(Peer::SerdeCbor, &case.document, case.now);
                self.openssl.judge(&decoded, case.now)
            }
            other => self.program.judge(other, &case.document, case.now),
        }
    }
}

/// The program of `differential/`, at a time of its own.
pub struct Program {
    path: PathBuf,
    /// Holds the time that the process is made to believe.
    clock: PathBuf,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Program {
    /// The peers name the AWS root in their code. For documents under another root, its bytes take the place of that one's
    /// in a copy of the program: the code that judges is the published one.
    pub fn trusting(root: &Path, root_der: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = fs::read(built_program()).unwrap();
        let path = folder.path().join("peers");
        fs::copy(built_program(), &path).unwrap();
        fs::write(&path, with_root(program, &fs::read(root).unwrap(), root_der)).unwrap();
        let clock = folder.path().join("clock");
        fs::write(&clock, "2000-01-01 00:00:00").unwrap();
        let (process, requests, answers) = start(&path, &clock);
        Self { path, clock, process, requests, answers, _folder: folder }
    }

    pub fn judge(&mut self, peer: Peer, document: &[u8], now: UnixTime) -> Theirs {
        self.set_clock(now);
        let request = format!("judge {} {} {}", peer.name(), now.as_ms(), hex::encode(document));
        let Some(answer) = self.ask(&request) else {
            (self.process, self.requests, self.answers) = start(&self.path, &self.clock);
            return Theirs { verdict: "crashed", detail: String::new() };
        };
        let (verdict, detail) = answer.split_once(' ').unwrap_or((&answer, ""));
        let verdict = ["accepted", "refused", "panicked"].into_iter().find(|known| *known == verdict);
        Theirs { verdict: verdict.unwrap(), detail: detail.to_owned() }
    }

    fn set_clock(&self, now: UnixTime) {
        let calendar = now.to_calendar().unwrap();
        let (date, time) = (calendar.date(), calendar.time());
        let (hour, minute, second) = time.as_hms();
        fs::write(&self.clock, format!("{date} {hour:02}:{minute:02}:{second:02}")).unwrap();
    }

    /// The answer, or nothing when the process is no more.
    fn ask(&mut self, request: &str) -> Option<String> {
        writeln!(self.requests, "{request}").ok()?;
        self.requests.flush().ok()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).ok().filter(|length| *length > 0)?;
        Some(answer.trim_end().to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(path: &Path, clock: &Path) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut process = Command::new(path)
        .env("TZ", "UTC")
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let requests = process.stdin.take().unwrap();
    let answers = BufReader::new(process.stdout.take().unwrap());
    (process, requests, answers)
}

fn built_program() -> PathBuf {
    let beside_the_broker = || {
        let target = Path::new(env!("CARGO_BIN_EXE_nitro-key-broker")).ancestors().nth(2).unwrap();
        target.join("differential/release/peers")
    };
    let path = env::var_os(PROGRAM_ENV).map_or_else(beside_the_broker, PathBuf::from);
    assert!(path.exists(), "the peers are not built: run `make peers` ({} is absent)", path.display());
    path
}

fn libfaketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.exists());
    found.expect("libfaketime is not installed: run `scripts/install-prerequisites differential`")
}

fn with_root(mut program: Vec<u8>, root_pem: &[u8], root_der: &[u8]) -> Vec<u8> {
    let aws_pem = fs::read(repository_path("certs/aws-nitro-enclaves-root-g1.pem")).unwrap();
    let aws_der = BASE64.decode(base64_body(&aws_pem)).unwrap();
    if root_der == aws_der {
        return program;
    }
    let (old, new) = (Sha256::digest(&aws_der), Sha256::digest(root_der));
    // A compiler turns the comparison with a fingerprint into several of eight bytes each.
    for (old, new) in old.chunks(8).zip(new.chunks(8)) {
        replace(&mut program, old, new);
    }
    // Without the line break at the end, which one of the peers leaves off; blanks behind a PEM block are no part of it.
    let aws_pem = aws_pem.trim_ascii_end();
    let mut root_pem = root_pem.trim_ascii_end().to_vec();
    root_pem.resize(aws_pem.len().max(root_pem.len()), b'\n');
    replace(&mut program, aws_pem, &root_pem);
    program
}

fn base64_body(pem: &[u8]) -> String {
    let lines = std::str::from_utf8(pem).unwrap().lines();
    lines.filter(|line| !line.starts_with("-----")).collect()
}

/// Both have one length, and the program holds `old`.
fn replace(program: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> = program
        .windows(old.len())
        .enumerate()
        .filter(|(_, window)| *window == old)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the peers no longer hold the AWS root as it was");
    for at in places {
        program[at..at + old.len()].copy_from_slice(new);
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
