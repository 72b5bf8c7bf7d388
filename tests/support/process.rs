//! The broker as a process of its own, made and started by its command line.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::client::Client;
use crate::broker::enclave::development_root;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_nitro-key-broker");

/// A data directory that `init` made, and the development root beside it.
pub struct DataFolder(TempDir);

impl DataFolder {
    pub fn init() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.root_pem(), development_root().certificate_pem()).unwrap();
        folder.run(&["init"]);
        folder
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub fn audit_log(&self) -> PathBuf {
        self.path().join("audit.jsonl")
    }

    pub fn root_pem(&self) -> PathBuf {
        self.0.path().join("root.pem")
    }

    /// Runs a subcommand that must succeed; yields its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        let done = Command::new(PROGRAM).arg("--data-dir").arg(self.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// A new key under `policy`; yields its ARN.
    pub fn create_key(&self, policy: &Value) -> String {
        let file = self.0.path().join("policy.json");
        std::fs::write(&file, policy.to_string()).unwrap();
        self.run(&["key", "create", "--policy", path_text(&file)]).trim().to_owned()
    }

    pub fn key_ids(&self) -> Vec<String> {
        let listed: Value = serde_json::from_str(&self.run(&["key", "list", "--json"])).unwrap();
        let keys = listed["Keys"].as_array().unwrap();
        keys.iter().map(|key| key["KeyId"].as_str().unwrap().to_owned()).collect()
    }
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A running `serve` on a port that the kernel chose, killed when dropped.
pub struct BrokerProcess {
    child: Child,
    address: SocketAddr,
}

impl BrokerProcess {
    pub fn start(folder: &DataFolder) -> Self {
        Self::start_on(folder, "127.0.0.1:0".parse().unwrap())
    }

    /// On a port that was free a moment ago, such as that of a broker that was stopped.
    pub fn start_on(folder: &DataFolder, address: SocketAddr) -> Self {
        let mut child = Command::new(PROGRAM)
            .arg("--data-dir")
            .arg(folder.path())
            .args(["serve", "--listen", &format!("http://{address}"), "--trust-anchor"])
            .arg(folder.root_pem())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("the broker did not start: {line:?}"))
            .trim()
            .parse()
            .unwrap();
        Self { child, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn connect(&self) -> Client {
        Client::over_tcp(self.address).await
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// SIGTERM, and the end that it leads to.
    pub fn terminate(mut self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
