//! Measurement by a machine: QEMU's nitro-enclave boots an image, and the kernel's own NSM driver says what was measured. The
//! machine's NSM signs nothing, so its documents must be refused; documents over the same registers, signed under the
//! development root, are taken.

use std::time::Instant;

use crate::images;
use crate::machine::{Boot, Guest, Machine, Vsock};
use crate::setting::Setting;
use crate::tools::Tools;
use crate::{ENCLAVE, PARENT, boot_parent, seconds, status};

#[test]
#[ignore = "needs a QEMU that takes ten minutes to build: make e2e-nitro"]
fn the_nitro_machine_measures_what_eif_measure_computes_and_its_unsigned_documents_are_refused() {
    let started = Instant::now();
    let say = |what: &str| eprintln!("e2e-nitro {:5.1} s  {what}", started.elapsed().as_secs_f64());
    let tools = Tools::prepare();
    let setting = Setting::make(&tools, "work-nitro");
    let ca = std::fs::read(setting.data().join("tls/ca.pem")).unwrap();
    let eif = images::nitro_image(&tools, &ca, &setting.development_root());
    let computed = setting.measure(&tools, &eif);
    setting.create_keys(&tools, &computed[0]);
    say(&format!("an image of {} MiB; `eif measure` computes PCR0 {}", eif.len() >> 20, computed[0]));

    let vsock = Vsock::start(&tools, &setting.run(), &[PARENT, ENCLAVE]);
    let mut parent = boot_parent(&tools, &vsock, &setting);
    parent.wait_for("e2e: parent up");
    say(&format!("parent instance, CID 3: up after {:.1} s", seconds(parent.age())));

    let machine = Machine::Nitro { eif: &eif };
    let enclave =
        Guest::start(&tools, &vsock, &Boot { name: "enclave", cid: ENCLAVE, machine, memory_mib: 512 });
    enclave.wait_for("e2e: application done");
    let age = enclave.age();
    let console = enclave.end();
    let measured = |index: usize| {
        let prefix = format!("e2e| measured| PCR{index:<2} ");
        let line = console.iter().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("PCR{index} is not in\n{}", console.join("\n"))).to_owned()
    };
    assert_eq!([0, 1, 2].map(measured), computed, "{}", console.join("\n"));
    say(&format!(
        "nitro-enclave machine, CID 4: measures the same PCR0, PCR1 and PCR2; {:.1} s",
        seconds(age)
    ));

    assert_ne!(status(&console, "unsigned"), 0, "an unsigned document was taken");
    let refusal = console.iter().find(|line| line.starts_with("e2e| unsigned| error: ValidationException"));
    let refusal = refusal.unwrap_or_else(|| panic!("no refusal in\n{}", console.join("\n")));
    assert!(refusal.contains("AttestationDocument fails at the step"), "{refusal}");
    say(&format!(
        "its unsigned document is refused: {}",
        refusal.trim_start_matches("e2e| unsigned| error: ")
    ));

    assert_eq!(status(&console, "signed"), 0, "{}", console.join("\n"));
    let records = parent.command("audit").join("\n");
    assert!(records.contains(&computed[0]), "{records}");
    say("a document over what was measured, signed under the development root, gets a data key");
    parent.command("stop");
    parent.end();
}
