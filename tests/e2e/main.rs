//! The whole way over real vsock sockets and a real `/dev/nsm`, on one machine without Nitro hardware: guests that QEMU
//! emulates. The guest with context id 3 is the parent instance and runs the broker, the guest with context id 4 is the
//! enclave and runs the sample as its first process. A third guest runs an image in which one byte is another.
//!
//! `/dev/nsm` is a simulated one, so this shows every path of the code and no measurement by hardware: its registers are
//! computed from the image that was booted. `make e2e-nitro` shows the measurement.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod cpio;
#[path = "../support/eif.rs"]
#[allow(dead_code, reason = "others use the rest")]
mod image;
mod images;
mod machine;
mod nitro;
mod setting;
mod tools;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use images::{CMDLINE, EnclaveImage};
use machine::{Boot, Guest, Machine, Vsock};
use setting::Setting;
use tools::Tools;

const PARENT: u32 = 3;
const ENCLAVE: u32 = 4;
const OTHER_ENCLAVE: u32 = 5;

/// What the application does, and must succeed in an image that the policy names.
const STEPS: [&str; 9] = [
    "GenerateDataKey",
    "Decrypt",
    "GenerateRandom",
    "GenerateDataKeyPair",
    "DeriveSharedSecret",
    "seal-and-open",
    "proxy",
    "boto3",
    "forwarder",
];

#[test]
fn an_enclave_on_real_vsock_gets_keys_and_an_image_with_another_byte_gets_none() {
    let started = Instant::now();
    let say = |what: &str| eprintln!("e2e {:5.1} s  {what}", started.elapsed().as_secs_f64());
    let tools = Tools::prepare();
    let setting = Setting::make(&tools, "work");
    say("programs built and stripped");

    let ca = std::fs::read(setting.data().join("tls/ca.pem")).unwrap();
    let other_ca = std::fs::read(setting.other_data().join("tls/ca.pem")).unwrap();
    let image = images::enclave_image(&tools, &ca, &other_ca, b'0');
    let other_image = images::enclave_image(&tools, &ca, &other_ca, b'1');
    let differing = image.eif.iter().zip(&other_image.eif).skip(image::HEADER_LEN).filter(|(a, b)| a != b);
    assert_eq!((image.eif.len(), differing.count()), (other_image.eif.len(), 1));
    let [pcr0, ..] = setting.measure(&tools, &image.eif);
    let [other_pcr0, ..] = setting.measure(&tools, &other_image.eif);
    assert_ne!(pcr0, other_pcr0);
    setting.create_keys(&tools, &pcr0);
    say(&format!("two images of {} MiB; the policy names PCR0 {pcr0}", image.eif.len() >> 20));

    let vsock = Vsock::start(&tools, &setting.run(), &[PARENT, ENCLAVE, OTHER_ENCLAVE]);
    let mut parent = boot_parent(&tools, &vsock, &setting);
    parent.wait_for("e2e: parent up");
    say(&format!(
        "parent instance, CID 3: broker and forwarder on AF_VSOCK after {:.1} s",
        seconds(parent.age())
    ));

    let enclave = boot_enclave(&tools, &vsock, &setting, "enclave", ENCLAVE, &image);
    let other = boot_enclave(&tools, &vsock, &setting, "other-enclave", OTHER_ENCLAVE, &other_image);
    enclave.wait_for("e2e: application done");
    let age = enclave.age();
    let console = enclave.end();
    for step in STEPS {
        assert_eq!(status(&console, step), 0, "{step}:\n{}", console.join("\n"));
    }
    let straight =
        "e2e| boto3| straight to the broker: ValidationException: GenerateDataKey without Recipient";
    assert!(
        console.iter().any(|line| line.starts_with(straight)),
        "boto3 without the proxy:\n{}",
        console.join("\n")
    );
    assert_ne!(status(&console, "wrong-ca"), 0, "a broker of another CA was believed");
    say(&format!(
        "enclave, CID 4: {} succeed, a broker of another CA is refused; {:.1} s",
        STEPS.join(", "),
        seconds(age)
    ));

    let console = other.end();
    assert_ne!(status(&console, "GenerateDataKey"), 0, "{}", console.join("\n"));
    assert_eq!(status(&console, "GenerateRandom"), 0, "needs no key:\n{}", console.join("\n"));
    let refusal = console.iter().find(|line| line.starts_with("e2e| GenerateDataKey| error")).unwrap();
    assert!(refusal.contains("AccessDenied"), "{refusal}");
    say("enclave, CID 5, one byte of its image is another: refused");

    let records: Vec<Value> =
        parent.command("audit").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    check_records(&records, &pcr0, &other_pcr0);
    say(&format!("{} audit records name each enclave's CID and PCR0", records.len()));

    let metrics = parent.command("metrics").join("\n");
    let forwarded = "nitro_key_broker_forward_connections_accepted_total{listen=\"vsock:4294967295:8444\",target=\"localhost:8445\"} 1";
    assert!(metrics.contains(forwarded), "{metrics}");
    let stopped = parent.command("stop");
    assert_eq!(stopped, ["e2e: broker ended 0", "e2e: forwarder ended 0"]);
    parent.end();
    say("broker and forwarder drained");
}

fn boot_parent(tools: &Tools, vsock: &Vsock, setting: &Setting) -> Guest {
    let ramdisk = images::parent(tools, &setting.data(), &setting.development_root());
    let machine = Machine::Microvm { kernel: &tools.kernel, ramdisk: &ramdisk, cmdline: CMDLINE.to_owned() };
    Guest::start(tools, vsock, &Boot { name: "parent", cid: PARENT, machine, memory_mib: 256 })
}

/// Boots kernel and ramdisks of an image under the emulated hardware.
fn boot_enclave(
    tools: &Tools,
    vsock: &Vsock,
    setting: &Setting,
    name: &'static str,
    cid: u32,
    image: &EnclaveImage,
) -> Guest {
    let hardware = images::hardware(tools, &setting.development_root(), &image.eif);
    let ramdisk = [&image.ramdisks[..], &hardware].concat();
    let cmdline = format!("{CMDLINE} rdinit=/hardware/init");
    let machine = Machine::Microvm { kernel: &tools.kernel, ramdisk: &ramdisk, cmdline };
    Guest::start(tools, vsock, &Boot { name, cid, machine, memory_mib: 768 })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// How a step of the application ended.
fn status(console: &[String], step: &str) -> i32 {
    let prefix = format!("e2e: {step} ");
    let line = console.iter().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("{step} did not end:\n{}", console.join("\n"))).parse().unwrap()
}

/// Each enclave's decisions are on record with where they came from and what it runs.
fn check_records(records: &[Value], pcr0: &str, other_pcr0: &str) {
    let of = |cid: u32| {
        let source = format!("vsock:{cid}:");
        records.iter().filter(move |record| record["sourceIPAddress"].as_str().unwrap().starts_with(&source))
    };
    let recorded = |record: &Value| {
        let name = record["eventName"].as_str().unwrap().to_owned();
        let attestation = &record["additionalEventData"]["recipient"];
        let image =
            attestation["attestationDocumentEnclaveImageDigest"].as_str().unwrap_or_default().to_owned();
        (name, image, record.get("errorCode").and_then(Value::as_str).map(str::to_owned))
    };
    let enclave: BTreeSet<_> = of(ENCLAVE).map(recorded).collect();
    let other: BTreeSet<_> = of(OTHER_ENCLAVE).map(recorded).collect();
    for operation in
        ["GenerateDataKey", "Decrypt", "GenerateRandom", "GenerateDataKeyPair", "DeriveSharedSecret"]
    {
        let allowed = (operation.to_owned(), pcr0.to_owned(), None);
        assert!(enclave.contains(&allowed), "{operation} of CID 4 is not in {enclave:?}");
    }
    let denied =
        ("GenerateDataKey".to_owned(), other_pcr0.to_owned(), Some("AccessDeniedException".to_owned()));
    assert!(other.contains(&denied), "the denial of CID 5 is not in {other:?}");
    assert!(other.iter().all(|(name, _, error)| name == "GenerateRandom" || error.is_some()), "{other:?}");
}
