//! `init` as the first process of namespaces that resemble an enclave: nothing mounted, no network.
//!
//! It needs root, as the kernel's first process has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::SystemTime;

use enclave_sample::nsm::simulated::DevelopmentRoot;
use support::broker::Broker;

/// A root directory that holds this machine's programs and libraries, read-only, and `init`, as an image would.
struct Enclave {
    root: tempfile::TempDir,
}

/// Makes namespaces and enters them: `$1` is the root directory, `$2` a directory to have as `/world`, the rest is the
/// command, which becomes process 1.
const ENTER: &str = r#"
set -e
root=$1 world=$2
shift 2
mount -t tmpfs enclave "$root"
for folder in bin lib lib64 usr; do
    [ -e "/$folder" ] || continue
    mkdir "$root/$folder"
    mount --bind "/$folder" "$root/$folder"
done
mkdir "$root/world"
mount --rbind "$world" "$root/world"
exec chroot "$root" "$@"
"#;

impl Enclave {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// `init` with these arguments; the folder of this package's programs is `/world`.
    fn command(&self, arguments: &[&str]) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_enclave-sample"));
        self.command_in(program.parent().unwrap().to_str().unwrap(), "/world/enclave-sample", arguments)
    }

    fn command_in(&self, world: &str, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--mount", "--net", "--kill-child", "sh", "-c", ENTER, "sh"])
            .arg(self.root.path())
            .args([world, program, "init"])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn shell(&self, script: &str) -> (String, String) {
        let output = self.run(&["--no-heartbeat", "sh", "-c", script]);
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

const NO_NSM: &str = "warning: no /dev/nsm: there will be no attestation documents\n";

#[test]
fn what_programs_expect_is_mounted() {
    let script = "echo $PPID; cut -d ' ' -f 2,3 /proc/mounts; echo x >/dev/null; test -c /dev/urandom; ls /dev/fd/0; \
                  test -d /sys/class/net; echo y >/tmp/y; echo z >/run/z; stat -c %a /tmp /dev/shm";
    let (stdout, stderr) = Enclave::new().shell(script);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "1", "init is the first process: {stdout}{stderr}");
    for mounted in [
        "/proc proc",
        "/sys sysfs",
        "/dev devtmpfs",
        "/dev/pts devpts",
        "/dev/shm tmpfs",
        "/run tmpfs",
        "/tmp tmpfs",
    ] {
        assert!(lines.contains(&mounted), "{mounted} is not in {stdout}{stderr}");
    }
    assert!(stdout.ends_with("/dev/fd/0\n1777\n1777\n"), "{stdout}");
    assert_eq!(stderr, format!("{NO_NSM}init: the command ended with status 0\n"));
}

#[test]
fn the_loopback_is_up() {
    let script = "cat /sys/class/net/lo/flags; cat /proc/net/fib_trie | grep -c 127.0.0.1";
    let (stdout, stderr) = Enclave::new().shell(script);
    // IFF_UP | IFF_LOOPBACK, and an address.
    assert_eq!(stdout.lines().next(), Some("0x9"), "{stdout}{stderr}");
    assert_ne!(stdout.lines().nth(1), Some("0"), "{stdout}{stderr}");
}

#[test]
fn orphans_are_reaped() {
    // The inner shell ends at once and leaves the sleep to the first process.
    let script =
        "for i in 1 2 3; do sh -c 'sleep 0.1 & '; done; sleep 1; cat /proc/[0-9]*/stat | grep -c ' Z '";
    let (stdout, stderr) = Enclave::new().shell(script);
    assert_eq!(stdout, "0\n", "{stderr}");
}

#[test]
fn how_the_command_ends_is_said() {
    for (script, said) in [
        ("exit 7", "init: the command ended with status 7\n"),
        ("kill -KILL $$", "init: the command was ended by signal 9\n"),
    ] {
        assert_eq!(Enclave::new().shell(script).1, format!("{NO_NSM}{said}"));
    }
    let output = Enclave::new().run(&["--no-heartbeat", "/nonexistent"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("error: cannot run /nonexistent: No such file or directory"), "{stderr}");
}

#[test]
fn a_heartbeat_that_nobody_hears_is_a_warning() {
    let output = Enclave::new().run(&["true"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("warning: no heartbeat to the parent instance: "), "{stderr}");
    assert!(stderr.ends_with("init: the command ended with status 0\n"), "{stderr}");
}

#[test]
fn a_driver_that_is_none_ends_the_enclave() {
    let output = Enclave::new().run(&["--no-heartbeat", "--nsm-module", "/bin/sh", "echo", "unreached"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.stdout, b"");
    assert!(stderr.starts_with("error: cannot load the NSM driver /bin/sh: "), "{stderr}");
}

#[test]
fn signals_reach_the_command() {
    let script = "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let child = Enclave::new();
    let mut child: Child = child
        .command(&["--no-heartbeat", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // The first process of the namespace is the child of `unshare`, under another number out here.
    let task = format!("/proc/{0}/task/{0}/children", child.id());
    let pid: i32 = fs::read_to_string(task).unwrap().trim().parse().unwrap();
    let init = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::TERM).unwrap();
    line.clear();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "got it\n");
    child.wait().unwrap();
    let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(stderr.ends_with("init: the command ended with status 3\n"), "{stderr}");
}

/// As an image of `nitro-cli build-enclave` has it, with this program in the place of AWS's init: the kernel starts
/// `/init` without arguments.
#[test]
fn an_image_says_what_to_run_and_where() {
    const IMAGE: &str = r#"
set -e
root=$1 program=$2
mount -t tmpfs enclave "$root"
for folder in bin lib lib64 usr; do
    [ -e "/$folder" ] || continue
    mkdir -p "$root/$folder" "$root/rootfs/$folder"
    mount --bind "/$folder" "$root/$folder"
    mount --bind "/$folder" "$root/rootfs/$folder"
done
cp "$program" "$root/init"
echo inside >"$root/rootfs/where"
printf '%s\n' sh -c 'cat /where; echo "$GREETING"; ls /init /rootfs 2>&1 | grep -c "No such"; cut -d " " -f 2 /proc/mounts | grep -x /tmp' >"$root/cmd"
printf '%s\n' 'GREETING=good morning' ENCLAVE_SAMPLE_NO_HEARTBEAT=true >"$root/env"
exec chroot "$root" /init
"#;
    let root = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount", "--net", "--kill-child", "sh", "-c", IMAGE, "sh"])
        .arg(root.path())
        .arg(env!("CARGO_BIN_EXE_enclave-sample"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "inside\ngood morning\n2\n/tmp\n", "{stderr}");
    assert!(stderr.ends_with("init: the command ended with status 0\n"), "{stderr}");
}

/// The way an image uses it: init, a proxy that reaches the broker over a socket, and an application that finds the proxy
/// by its environment.
#[test]
fn an_application_finds_the_proxy() {
    let broker = Broker::start();
    let root = broker.path("root");
    DevelopmentRoot::generate(SystemTime::now()).unwrap().save(&root).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_enclave-sample"), broker.path("enclave-sample")).unwrap();
    let enclave = Enclave::new();
    let ask = "import os, json, urllib.request as r\n\
               q = r.Request(os.environ['AWS_ENDPOINT_URL_KMS'], b'{\"NumberOfBytes\": 4}', \
               {'X-Amz-Target': 'TrentService.GenerateRandom'})\n\
               print(sorted(json.load(r.urlopen(q))))";
    let mut command = enclave.command_in(
        broker.directory().to_str().unwrap(),
        "/world/enclave-sample",
        &["--no-heartbeat", "--proxy", "127.0.0.1:8000", "python3", "-c", ask],
    );
    command
        .env("ENCLAVE_SAMPLE_ENDPOINT", "unix:/world/tls.sock")
        .env("ENCLAVE_SAMPLE_CA", "/world/ca.pem")
        .env("ENCLAVE_SAMPLE_SIMULATED_NSM", "/world/root");
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "['Plaintext']\n", "{stderr}");
    assert!(stderr.ends_with("init: the command ended with status 0\n"), "{stderr}");

    // A proxy that cannot be is the end of the enclave, before the application starts.
    let mut command = enclave.command_in(
        broker.directory().to_str().unwrap(),
        "/world/enclave-sample",
        &["--no-heartbeat", "--proxy", "127.0.0.1:8000", "echo", "unreached"],
    );
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.stdout, b"");
    assert!(stderr.contains("error: the proxy did not start"), "{stderr}");
}
