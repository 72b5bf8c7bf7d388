//! The program of `differential/`: published verifiers and decoders, asked over its line protocol.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nitro_key_broker::time::UnixTime;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Names the built program, where it is not where `make peers` puts it.
const PROGRAM_ENV: &str = "NITRO_KEY_BROKER_PEERS";

/// What a peer makes of a document.
#[derive(Clone, Debug)]
pub struct Theirs {
    /// `accepted`, `refused`, or, which is neither, `panicked` or `crashed`.
    pub verdict: &'static str,
    /// Why, or what was found.
    pub detail: String,
}

/// The program of `differential/`, at a time of its own.
pub struct Program {
    path: PathBuf,
    /// Holds the time that the process is made to believe.
    clock: PathBuf,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    root_fits: bool,
    _folder: TempDir,
}

impl Program {
    /// The peers trust the AWS root, which they name in their code. For documents under another root, its bytes take the
    /// place of that one's in a copy of the program: the code that judges is the published one.
    pub fn trusting(root: &Path, root_der: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut program = fs::read(built_program()).unwrap();
        let root_fits = put_root(&mut program, &fs::read(root).unwrap(), root_der);
        let path = folder.path().join("peers");
        fs::copy(built_program(), &path).unwrap();
        fs::write(&path, program).unwrap();
        let clock = folder.path().join("clock");
        fs::write(&clock, "2000-01-01 00:00:00").unwrap();
        let (process, requests, answers) = start(&path, &clock);
        Self { path, clock, process, requests, answers, root_fits, _folder: folder }
    }

    /// Whether the peer trusts the root: one that holds its root in PEM has no room for a longer one.
    pub fn trusts_the_root(&self, peer: &str) -> bool {
        self.root_fits || peer != "attestation-doc-validation"
    }

    pub fn judge(&mut self, peer: &str, document: &[u8], now: UnixTime) -> Theirs {
        self.set_clock(now);
        let request = format!("judge {peer} {} {}", now.as_ms(), hex::encode(document));
        let Some(answer) = self.ask(&request) else {
            (self.process, self.requests, self.answers) = start(&self.path, &self.clock);
            return Theirs { verdict: "crashed", detail: String::new() };
        };
        let (verdict, detail) = answer.split_once(' ').unwrap_or((&answer, ""));
        let verdict = ["accepted", "refused", "panicked"].into_iter().find(|known| *known == verdict);
        Theirs { verdict: verdict.unwrap(), detail: detail.to_owned() }
    }

    /// How long each of `rounds` judgements of a document took, every one of which accepted it.
    pub fn measure(&mut self, peer: &str, document: &[u8], now: UnixTime, rounds: usize) -> Vec<Duration> {
        self.set_clock(now);
        let request = format!("measure {peer} {} {rounds} {}", now.as_ms(), hex::encode(document));
        let answer = self.ask(&request).expect("the peers measure");
        answer.split(' ').map(|nanoseconds| Duration::from_nanos(nanoseconds.parse().unwrap())).collect()
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
    let mut command = Command::new(path);
    command
        .env("TZ", "UTC")
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = spawn(&mut command);
    let requests = process.stdin.take().unwrap();
    let answers = BufReader::new(process.stdout.take().unwrap());
    (process, requests, answers)
}

/// A program that this test has just written is busy as long as a process that another thread forked meanwhile, and that
/// has not come to its own program yet, holds the file open for writing.
fn spawn(command: &mut Command) -> Child {
    const PATIENCE: Duration = Duration::from_secs(10);
    let begun = Instant::now();
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && begun.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(10));
            }
            spawned => return spawned.unwrap(),
        }
    }
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

/// Yields whether there was room for the PEM form, too.
fn put_root(program: &mut [u8], root_pem: &[u8], root_der: &[u8]) -> bool {
    let aws_pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/aws-nitro-enclaves-root-g1.pem");
    let aws_pem = fs::read(aws_pem).unwrap();
    let aws_der = BASE64.decode(base64_body(&aws_pem)).unwrap();
    if root_der == aws_der {
        return true;
    }
    let (old, new) = (Sha256::digest(&aws_der), Sha256::digest(root_der));
    // A compiler turns the comparison with a fingerprint into several of eight bytes each.
    for (old, new) in old.chunks(8).zip(new.chunks(8)) {
        replace(program, old, new);
    }
    // Without the line break at the end, which one of the peers leaves off; blanks behind a PEM block are no part of it.
    let aws_pem = aws_pem.trim_ascii_end();
    let body = base64_body(root_pem);
    let root_pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----");
    let fits = root_pem.len() <= aws_pem.len();
    if fits {
        replace(program, aws_pem, format!("{root_pem:<width$}", width = aws_pem.len()).as_bytes());
    }
    fits
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
