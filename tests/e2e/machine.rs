//! Guests on one vsock: QEMU for each, and the daemon that carries their connections.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::tools::Tools;

/// Longest that anything of a guest takes. It takes seconds on an idle machine, and this one may not be idle.
const PATIENCE: Duration = Duration::from_secs(300);

/// The parent instance that the machine claims, which determines PCR4; the one of simulated enclaves.
const INSTANCE_ID: &str = "i-0123456789abcdef0";

/// The vsock that all guests are on: each guest by its context id reaches each other.
pub struct Vsock {
    daemon: Child,
    folder: PathBuf,
}

impl Vsock {
    pub fn start(tools: &Tools, folder: &Path, cids: &[u32]) -> Self {
        let mut command = Command::new(&tools.vsock_daemon);
        for cid in cids {
            let (socket, uds) = (socket(folder, *cid), folder.join(format!("vsock{cid}")));
            let vm =
                format!("guest-cid={cid},socket={},uds-path={},groups=e2e", socket.display(), uds.display());
            command.arg("--vm").arg(vm);
        }
        let log = std::fs::File::create(folder.join("vsock.log")).unwrap();
        let daemon = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let started = Instant::now();
        while !cids.iter().all(|cid| socket(folder, *cid).exists()) {
            assert!(started.elapsed() < PATIENCE, "vhost-device-vsock does not start: see vsock.log");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { daemon, folder: folder.to_owned() }
    }
}

impl Drop for Vsock {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn socket(folder: &Path, cid: u32) -> PathBuf {
    folder.join(format!("vhost{cid}"))
}

/// What a guest boots.
pub struct Boot<'b> {
    pub name: &'static str,
    pub cid: u32,
    pub machine: Machine<'b>,
    pub memory_mib: u32,
}

pub enum Machine<'b> {
    /// A small machine without firmware.
    Microvm { kernel: &'b [u8], ramdisk: &'b [u8], cmdline: String },
    /// QEMU's emulation of an enclave, which measures the image that it boots.
    Nitro { eif: &'b [u8] },
}

/// A running guest, killed when dropped. What it writes to its console is in `NAME.log`, too.
pub struct Guest {
    name: &'static str,
    qemu: Child,
    stdin: ChildStdin,
    console: Arc<Mutex<Console>>,
    started: Instant,
}

#[derive(Default)]
struct Console {
    lines: Vec<String>,
    has_ended: bool,
}

impl Guest {
    pub fn start(tools: &Tools, vsock: &Vsock, boot: &Boot<'_>) -> Self {
        let folder = &vsock.folder;
        let file = |kind: &str, content: &[u8]| {
            let path = folder.join(format!("{}.{kind}", boot.name));
            std::fs::write(&path, content).unwrap();
            path
        };
        let size = format!("{}M", boot.memory_mib);
        let mut qemu = match &boot.machine {
            Machine::Microvm { kernel, ramdisk, cmdline } => {
                let mut qemu = Command::new(&tools.qemu);
                qemu.args(["-M", "microvm,pcie=off,memory-backend=m", "-m", &size])
                    .args(["-object", &format!("memory-backend-memfd,id=m,size={size},share=on")])
                    .args(["-device", "vhost-user-vsock-device,chardev=c"])
                    .arg("-kernel")
                    .arg(file("kernel", kernel))
                    .arg("-initrd")
                    .arg(file("ramdisk", ramdisk))
                    .args(["-append", &format!("{cmdline} {}", clock_options())]);
                qemu
            }
            Machine::Nitro { eif } => {
                let mut qemu = Command::new(tools.nitro_qemu());
                qemu.args(["-L", "/usr/share/qemu", "-L", "/usr/share/seabios", "-m", &size])
                    .args(["-M", &format!("nitro-enclave,vsock=c,id=e2e,parent-id={INSTANCE_ID},acpi=on")])
                    .arg("-kernel")
                    .arg(file("eif", eif))
                    .args(["-append", &clock_options()]);
                qemu
            }
        };
        let mut qemu = qemu
            // Where this machine is a guest itself, guests of its KVM may fail.
            .args(["-accel", "tcg", "-cpu", "max"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"])
            .args(["-chardev", &format!("socket,id=c,path={}", socket(folder, boot.cid).display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join(format!("{}.qemu.log", boot.name))).unwrap())
            .spawn()
            .unwrap();
        let console = Arc::new(Mutex::new(Console::default()));
        let log = std::fs::File::create(folder.join(format!("{}.log", boot.name))).unwrap();
        let (stdout, lines) = (qemu.stdout.take().unwrap(), Arc::clone(&console));
        std::thread::spawn(move || collect(BufReader::new(stdout), log, &lines));
        let stdin = qemu.stdin.take().unwrap();
        Self { name: boot.name, qemu, stdin, console, started: Instant::now() }
    }

    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until a line of the console begins so.
    pub fn wait_for(&self, prefix: &str) -> String {
        let begun = Instant::now();
        loop {
            let (found, has_ended) = {
                let console = self.console.lock().unwrap();
                (console.lines.iter().find(|line| line.starts_with(prefix)).cloned(), console.has_ended)
            };
            match found {
                Some(line) => return line,
                None if has_ended => panic!("{} ended without {prefix:?}:\n{}", self.name, self.console()),
                None if begun.elapsed() > PATIENCE => {
                    panic!("{} did not say {prefix:?} in {PATIENCE:?}:\n{}", self.name, self.console())
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Has the parent guest carry out a command; yields what it prints.
    pub fn command(&mut self, command: &str) -> Vec<String> {
        writeln!(self.stdin, "{command}").unwrap();
        let (begin, end) = (format!("e2e: begin {command}"), format!("e2e: end {command}"));
        self.wait_for(&end);
        let console = self.console.lock().unwrap();
        let place = |line: &str| console.lines.iter().position(|other| other == line).unwrap();
        console.lines[place(&begin) + 1..place(&end)].to_vec()
    }

    /// Waits for its end; yields all lines of its console.
    pub fn end(mut self) -> Vec<String> {
        let begun = Instant::now();
        while self.qemu.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "{} does not end:\n{}", self.name, self.console());
            std::thread::sleep(Duration::from_millis(50));
        }
        while !self.console.lock().unwrap().has_ended {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.console.lock().unwrap().lines.clone()
    }

    fn console(&self) -> String {
        self.console.lock().unwrap().lines.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "  {line}").unwrap();
            text
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn collect(mut output: impl std::io::BufRead, mut log: std::fs::File, console: &Mutex<Console>) {
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        log.write_all(&line).unwrap();
        let text = String::from_utf8_lossy(&line);
        console.lock().unwrap().lines.push(text.trim_end_matches(['\r', '\n']).to_owned());
        line.clear();
    }
    console.lock().unwrap().has_ended = true;
}

/// Without a frequency the boot hangs behind the calibration of the time-stamp counter, which emulation does not keep up
/// with. And no other clock is right where the guest does not get every tick in time.
fn clock_options() -> String {
    format!("tsc_early_khz={} tsc=reliable clocksource=tsc", tsc_khz())
}

fn tsc_khz() -> u64 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("cpu MHz")).expect("/proc/cpuinfo has no cpu MHz");
    let mhz: f64 = line.rsplit_once(':').unwrap().1.trim().parse().unwrap();
    format!("{:.0}", mhz * 1000.0).parse().unwrap()
}
