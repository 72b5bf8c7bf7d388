//! What the guests are made of and run on. A piece that is missing fails the test: nothing is skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules that Debian's cloud kernel does not have built in.
pub const MODULES: [&str; 6] = [
    "virtio_mmio",
    "vsock",
    "vmw_vsock_virtio_transport_common",
    "vmw_vsock_virtio_transport",
    "nsm",
    "cuse",
];

/// Shared libraries by their file names.
pub type Libraries = BTreeMap<String, Vec<u8>>;

pub struct Tools {
    pub qemu: PathBuf,
    pub vsock_daemon: PathBuf,
    pub busybox: PathBuf,
    pub kernel: Vec<u8>,
    /// Each module unpacked, by its name.
    pub modules: BTreeMap<&'static str, Vec<u8>>,
    programs: PathBuf,
    /// The virtual environment of the tests with real clients.
    venv: PathBuf,
}

impl Tools {
    /// Finds everything and builds the programs of the enclave.
    pub fn prepare() -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_nitro-key-broker")).parent().unwrap().to_owned();
        let build = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--locked",
                "--quiet",
                "--package",
                "enclave-sample",
                "--package",
                "nsm-simulator",
            ])
            .status();
        assert!(build.unwrap().success(), "enclave-sample and nsm-simulator are not built");

        let target = programs.parent().unwrap();
        let kernel_package = target.join("e2e/kernel");
        let modules = MODULES.map(|name| (name, unpacked_module(&kernel_package, name)));
        Self {
            qemu: on_path("qemu-system-x86_64"),
            vsock_daemon: existing(target.join("tools/bin/vhost-device-vsock")),
            busybox: on_path("busybox"),
            kernel: std::fs::read(find(&kernel_package.join("boot"), "vmlinuz-")).unwrap(),
            modules: modules.into(),
            venv: existing(target.join("clients-venv")),
            programs,
        }
    }

    /// A program of this project.
    pub fn program(&self, name: &str) -> Vec<u8> {
        stripped(&self.programs.join(name))
    }

    /// The shared libraries of a program of this project.
    pub fn libraries(&self, name: &str) -> Libraries {
        let libraries = libraries(&[self.programs.join(name)]);
        assert!(libraries.contains_key("ld-linux-x86-64.so.2"), "{name} has no loader");
        libraries
    }

    /// The files of Python and boto3, by their names in the guest, and the libraries that they take.
    pub fn python(&self) -> (BTreeMap<String, Vec<u8>>, Libraries) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/python_files.py");
        let output = Command::new(self.venv.join("bin/python")).arg(script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let names = text.lines().map(|line| line.split_once('\t').unwrap());
        let (objects, others): (Vec<_>, Vec<_>) =
            names.partition(|(_, name)| name.ends_with(".so") || *name == "bin/python3");
        let others = others.into_iter().map(|(path, name)| (name.to_owned(), std::fs::read(path).unwrap()));
        let files = objects.iter().map(|(path, name)| ((*name).to_owned(), stripped(Path::new(path))));
        let objects: Vec<PathBuf> = objects.iter().map(|(path, _)| path.into()).collect();
        (files.chain(others).collect(), libraries(&objects))
    }

    /// The QEMU with the nitro-enclave machine.
    pub fn nitro_qemu(&self) -> PathBuf {
        let path = self.vsock_daemon.with_file_name("qemu-nitro");
        assert!(
            path.exists(),
            "{} is not there; run scripts/build-nitro-qemu, as `make e2e-nitro` does",
            path.display()
        );
        path
    }

    pub fn broker(&self) -> Command {
        Command::new(env!("CARGO_BIN_EXE_nitro-key-broker"))
    }
}

/// What the loader finds for these objects.
fn libraries(objects: &[PathBuf]) -> Libraries {
    let output = Command::new("ldd").args(objects).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // A line that begins with a path is the heading of an object.
    let lines = text.lines().filter(|line| line.starts_with(char::is_whitespace));
    let paths = lines.flat_map(str::split_whitespace).filter(|word| word.starts_with('/'));
    paths
        .map(|path| {
            let file_name = Path::new(path).file_name().unwrap().to_str().unwrap();
            (file_name.to_owned(), stripped(Path::new(path)))
        })
        .collect()
}

/// A program or library without its symbols, which guests have no use for.
fn stripped(object: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(object).status();
    assert!(strip.unwrap().success(), "strip {}", object.display());
    std::fs::read(stripped).unwrap()
}

fn unpacked_module(package: &Path, name: &str) -> Vec<u8> {
    let releases = package.join("lib/modules");
    let kernel = find(&releases, "").join("kernel");
    let packed = find_below(&kernel, &format!("{name}.ko.xz"))
        .unwrap_or_else(|| panic!("{} has no module {name}; {HINT}", kernel.display()));
    let unpacked = Command::new("xz").arg("--decompress").arg("--stdout").arg(packed).output().unwrap();
    assert!(unpacked.status.success(), "xz {name}");
    unpacked.stdout
}

const HINT: &str = "run scripts/install-prerequisites e2e, as `make e2e` does";

fn on_path(program: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{program} is not installed; {HINT}"))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not there; {HINT}", path.display());
    path
}

/// The last entry of a folder whose name begins so.
fn find(folder: &Path, prefix: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}; {HINT}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    paths.sort();
    paths.pop().unwrap_or_else(|| panic!("{} has no {prefix}…; {HINT}", folder.display()))
}

fn find_below(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
        if path.is_dir() { find_below(&path, name) } else { (path.file_name()? == name).then_some(path) }
    })
}
