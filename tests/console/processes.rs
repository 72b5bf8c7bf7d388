//! The console as the program serves it: inside `serve`, and as a process of its own under TLS.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::script::Script;
use crate::stage::{OPERATOR, PASSWORD};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nitro-key-broker");

/// A data directory with an operator.
struct DataFolder(TempDir);

impl DataFolder {
    fn init(arguments: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        assert!(folder.command(&[&["init"], arguments].concat()).output().unwrap().status.success());
        let mut add = folder.command(&["console", "operator", "add", OPERATOR]);
        let mut adding = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        writeln!(adding.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        assert!(adding.wait().unwrap().success());
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.0.path().join("log")).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--data-dir").arg(self.path()).args(arguments);
        command
    }
}

/// A running command, and what its first lines say.
struct Running {
    child: Child,
    lines: Vec<String>,
}

impl Running {
    fn start(folder: &DataFolder, arguments: &[&str], lines: usize) -> Self {
        let log = std::fs::File::create(folder.0.path().join("log")).unwrap();
        let mut child = folder.command(arguments).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines: Vec<String> = output.take(lines).map(Result::unwrap).collect();
        Self { child, lines }
    }

    fn url(&self, line: usize) -> String {
        let url = self.lines[line].strip_prefix("console on ");
        url.unwrap_or_else(|| panic!("no console: {:?}", self.lines)).to_owned()
    }

    fn terminate(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_shows_the_console_and_drains_it() {
    let folder = DataFolder::init(&[]);
    let listen = ["serve", "--listen", "http://127.0.0.1:0", "--console", "http://127.0.0.1:0"];
    let running = Running::start(&folder, &listen, 2);
    Script::start_at(&running.url(1), "process", &json!({"secure": false})).finish();
    running.terminate();
    let log = folder.log();
    for line in [
        "console sign-in refused",
        "wrong name or password",
        "console sign-in name=alice",
        "console sign-out",
    ] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
    assert!(!log.contains(PASSWORD) && !log.contains("another password"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_tls_the_cookie_is_bound_to_it() {
    let folder = DataFolder::init(&["--tls"]);
    assert!(Path::new(&folder.path().join("tls/server.pem")).exists());
    let running = Running::start(&folder, &["console", "--listen", "https://127.0.0.1:0"], 1);
    Script::start_at(&running.url(0), "process", &json!({"secure": true})).finish();
    running.terminate();
}
