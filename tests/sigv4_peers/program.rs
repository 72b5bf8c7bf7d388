//! The program `sigv4-peers` of `differential/`, asked over its line protocol.

use std::cell::RefCell;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::request::{Place, Request};

/// Names the built program, where it is not where `make peers` puts it.
const PROGRAM_ENV: &str = "NITRO_KEY_BROKER_SIGV4_PEERS";

pub struct Program {
    process: RefCell<Child>,
    requests: RefCell<ChildStdin>,
    answers: RefCell<BufReader<ChildStdout>>,
}

impl Program {
    pub fn start() -> Self {
        let mut process =
            Command::new(built_program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process: process.into(), requests: requests.into(), answers: answers.into() }
    }

    /// The request with what AWS's signer adds.
    pub fn sign(&self, request: &Request, place: Place) -> Request {
        let place = match place {
            Place::Header => json!("header"),
            Place::Query(expires_secs) => json!({"query": expires_secs}),
        };
        let answer = self.ask(&json!({"sign": {
            "message": request.to_json(),
            "credential": request.credential(),
            "now_secs": request.now_secs,
            "place": place,
            "content_sha256": request.content_sha256,
        }}));
        let pairs = |member: &str| -> Vec<(String, String)> {
            serde_json::from_value(answer[member].clone()).unwrap()
        };
        let mut signed = request.clone();
        signed.headers.extend(pairs("headers"));
        signed.query.extend(pairs("query"));
        signed
    }

    /// What the other verifier says, given the credential that signed the request.
    pub fn verify(&self, request: &Request) -> Result<(), String> {
        let answer = self.ask(&json!({"verify": {
            "message": request.to_json(),
            "credential": request.credential(),
            "now_secs": request.now_secs,
        }}));
        if answer["accepted"].as_bool().unwrap() {
            return Ok(());
        }
        Err(answer["why"].as_str().unwrap().to_owned())
    }

    fn ask(&self, request: &Value) -> Value {
        writeln!(self.requests.borrow_mut(), "{request}").unwrap();
        let mut answer = String::new();
        self.answers.borrow_mut().read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no answer to {request}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let process = self.process.get_mut();
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn built_program() -> PathBuf {
    let beside_the_broker = || {
        let target = Path::new(env!("CARGO_BIN_EXE_nitro-key-broker")).ancestors().nth(2).unwrap();
        target.join("differential/release/sigv4-peers")
    };
    let path = env::var_os(PROGRAM_ENV).map_or_else(beside_the_broker, PathBuf::from);
    assert!(path.exists(), "the peers are not built: run `make peers` ({} is absent)", path.display());
    path
}
