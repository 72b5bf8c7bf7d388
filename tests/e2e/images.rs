//! What the guests boot: the enclave's image, and the parent's ramdisk.

use std::path::Path;

use crate::cpio::Ramdisk;
use crate::image::ImageToWrite;
use crate::tools::{Libraries, Tools};

/// The measured command line of the image. What boots it adds to it.
pub const CMDLINE: &str = "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on";

/// An enclave image, and the parts of it.
pub struct EnclaveImage {
    pub eif: Vec<u8>,
    /// All ramdisks, the boot ramdisk first.
    pub ramdisks: Vec<u8>,
}

/// An image of the sample, laid out as `nitro-cli build-enclave` does: the boot ramdisk holds a shell, the libraries, and
/// what the first process runs; the second one the sample, which is that process, and the application with the CA of the
/// broker; the third one boto3. `variant` is one byte of the application.
pub fn enclave_image(tools: &Tools, ca: &[u8], other_ca: &[u8], variant: u8) -> EnclaveImage {
    let mut boot = Ramdisk::default();
    for folder in ["bin", "dev", "lib64", "lib", "lib/x86_64-linux-gnu", "proc", "sys", "tmp", "run"] {
        boot.directory(folder);
    }
    shell(tools, &mut boot);
    libraries(&tools.libraries("enclave-sample"), &mut boot);
    // Where the broker is and how it is known is part of the image, and so measured.
    boot.symlink("init", "bin/enclave-sample");
    boot.file(
        "cmd",
        0o644,
        b"/bin/enclave-sample\ninit\n--no-heartbeat\n--proxy\n127.0.0.1:8000\n/app/run\n",
    );
    boot.file("env", 0o644, b"ENCLAVE_SAMPLE_ENDPOINT=vsock://3:8443\nENCLAVE_SAMPLE_CA=/app/ca.pem\n");
    let boot = boot.finish();

    let script = include_str!("guests/application.sh");
    let variant_0 = "# Variant 0 of the image.";
    assert_eq!(script.matches(variant_0).count(), 1);
    let script = script.replace(variant_0, &format!("# Variant {} of the image.", char::from(variant)));
    let mut application = Ramdisk::default();
    application.directory("app");
    application.program("app/run", script.as_bytes());
    application.file("app/ca.pem", 0o644, ca);
    application.file("app/other-ca.pem", 0o644, other_ca);
    application.program("bin/enclave-sample", &tools.program("enclave-sample"));
    let application = application.finish();

    let (files, its_libraries) = tools.python();
    let mut python = Ramdisk::default();
    python.program("app/boto3_calls.py", include_bytes!("guests/boto3_calls.py"));
    python.files(&files);
    libraries(&its_libraries, &mut python);
    let python = python.finish();

    let eif = ImageToWrite::new(&tools.kernel, CMDLINE.as_bytes(), &[&boot, &application, &python]).encode();
    EnclaveImage { eif, ramdisks: [boot, application, python].concat() }
}

/// An image for the nitro-enclave machine: with the modules of Debian's kernel in it, and with what signs documents over the
/// registers that the machine measures.
pub fn nitro_image(tools: &Tools, ca: &[u8], development_root: &Path) -> Vec<u8> {
    let mut boot = Ramdisk::default();
    for folder in
        ["bin", "dev", "lib64", "lib", "lib/x86_64-linux-gnu", "modules", "proc", "sys", "tmp", "run"]
    {
        boot.directory(folder);
    }
    shell(tools, &mut boot);
    let mut both = tools.libraries("enclave-sample");
    both.extend(tools.libraries("nsm-simulator"));
    libraries(&both, &mut boot);
    modules(tools, "modules", &mut boot);
    boot.program("init", include_bytes!("guests/nitro-init.sh"));
    let boot = boot.finish();

    let mut application = Ramdisk::default();
    application.directory("app");
    application.program("app/run", include_bytes!("guests/nitro-application.sh"));
    application.file("app/ca.pem", 0o644, ca);
    application.tree("app/development-root", development_root);
    for program in ["enclave-sample", "nsm-simulator"] {
        application.program(&format!("bin/{program}"), &tools.program(program));
    }
    ImageToWrite::new(&tools.kernel, CMDLINE.as_bytes(), &[&boot, &application.finish()]).encode()
}

/// What stands for the hypervisor: see `guests/hardware.sh`. It is laid over the image's ramdisks and is not measured.
pub fn hardware(tools: &Tools, development_root: &Path, eif: &[u8]) -> Vec<u8> {
    let mut hardware = Ramdisk::default();
    for folder in ["hardware", "hardware/lib", "hardware/modules"] {
        hardware.directory(folder);
    }
    hardware.program("hardware/init", include_bytes!("guests/hardware.sh"));
    hardware.program("hardware/busybox", &std::fs::read(&tools.busybox).unwrap());
    hardware.program("hardware/nsm-simulator", &tools.program("nsm-simulator"));
    for (name, library) in tools.libraries("nsm-simulator") {
        hardware.program(&format!("hardware/lib/{name}"), &library);
    }
    modules(tools, "hardware/modules", &mut hardware);
    hardware.tree("hardware/development-root", development_root);
    hardware.file("hardware/image.eif", 0o644, eif);
    hardware.finish()
}

/// The parent instance with the broker's data directory.
pub fn parent(tools: &Tools, data: &Path, development_root: &Path) -> Vec<u8> {
    let mut parent = Ramdisk::default();
    for folder in
        ["bin", "dev", "etc", "lib64", "lib", "lib/x86_64-linux-gnu", "modules", "proc", "sys", "tmp"]
    {
        parent.directory(folder);
    }
    shell(tools, &mut parent);
    libraries(&tools.libraries("nitro-key-broker"), &mut parent);
    modules(tools, "modules", &mut parent);
    parent.program("bin/nitro-key-broker", &tools.program("nitro-key-broker"));
    parent.program("init", include_bytes!("guests/parent.sh"));
    parent.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n");
    parent.file("development-root.pem", 0o644, &std::fs::read(development_root.join("root.pem")).unwrap());
    parent.tree("data", data);
    parent.finish()
}

fn shell(tools: &Tools, ramdisk: &mut Ramdisk) {
    ramdisk.program("bin/busybox", &std::fs::read(&tools.busybox).unwrap());
    let commands = [
        "base64", "cat", "cmp", "cp", "date", "grep", "head", "insmod", "ip", "kill", "reboot", "sed", "sh",
        "usleep", "wc", "wget",
    ];
    for command in commands {
        ramdisk.symlink(&format!("bin/{command}"), "busybox");
    }
}

fn libraries(libraries: &Libraries, ramdisk: &mut Ramdisk) {
    for (name, library) in libraries {
        let folder = if name.starts_with("ld-linux") { "lib64" } else { "lib/x86_64-linux-gnu" };
        ramdisk.program(&format!("{folder}/{name}"), library);
    }
}

fn modules(tools: &Tools, folder: &str, ramdisk: &mut Ramdisk) {
    for (name, module) in &tools.modules {
        ramdisk.file(&format!("{folder}/{name}.ko"), 0o644, module);
    }
}
